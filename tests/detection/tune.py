"""Tune: labelled samples that the judge is tuned on; ``held`` has others.

Formats are the issuers' published ones, lines are of the kind that repositories hold; every value
is drawn from a seed.
"""

from __future__ import annotations

import base64
import json
import zlib

from detection.noise import (
    ALNUM,
    BASE32,
    BASE64,
    BASE64URL,
    DIGITS,
    HEX,
    LOWER,
    LOWNUM,
    UPNUM,
    Noise,
)
from detection.sample import Sample

# service, what its key is called, prefix, alphabet, length, suffix
FORMATS = (
    ("airtable", "api_key", "pat", ALNUM, 14, "." + "{hex64}"),
    ("algolia", "admin_api_key", "", HEX, 32, ""),
    ("anthropic", "api_key", "sk-ant-" + "api03-", BASE64URL, 93, "AA"),
    ("artifactory", "api_key", "AKCp", ALNUM, 69, ""),
    ("asana", "client_secret", "", HEX, 32, ""),
    ("atlassian", "api_token", "ATATT3", BASE64URL, 180, "=" + "5C2A7F10"),
    ("aws", "secret_access_key", "", BASE64, 40, ""),
    ("aws", "access_key_id", "AKIA", BASE32, 16, ""),
    ("bitbucket", "client_secret", "", BASE64URL, 64, ""),
    ("circleci", "token", "", HEX, 40, ""),
    ("cloudflare", "api_token", "", BASE64URL, 40, ""),
    ("codecov", "token", "", "uuid", 0, ""),
    ("databricks", "token", "dapi", HEX, 32, ""),
    ("datadog", "api_key", "", HEX, 32, ""),
    ("datadog", "application_key", "", HEX, 40, ""),
    ("digitalocean", "token", "dop_" + "v1_", HEX, 64, ""),
    ("discord", "client_secret", "", BASE64URL, 32, ""),
    ("docker", "token", "dckr_" + "pat_", BASE64URL, 27, ""),
    ("dropbox", "app_secret", "", LOWNUM, 15, ""),
    ("dynatrace", "api_token", "dt0" + "c01.", BASE32, 24, "." + "{base32-64}"),
    ("fastly", "api_token", "", BASE64URL, 32, ""),
    ("figma", "token", "fig" + "d_", BASE64URL, 40, ""),
    ("github", "token", "gh" + "p_", ALNUM, 30, "{crc}"),
    ("gitlab", "token", "glp" + "at-", BASE64URL, 20, ""),
    ("google", "api_key", "AI" + "za", BASE64URL, 35, ""),
    ("grafana", "api_key", "gl" + "c_", BASE64, 60, ""),
    ("groq", "api_key", "gs" + "k_", ALNUM, 52, ""),
    ("heroku", "api_key", "", "uuid", 0, ""),
    ("hubspot", "access_token", "pat-" + "na1-", "uuid", 0, ""),
    ("huggingface", "token", "h" + "f_", ALNUM, 34, ""),
    ("intercom", "access_token", "", BASE64URL, 60, ""),
    ("jenkins", "api_token", "", HEX, 34, ""),
    ("linear", "api_key", "lin_" + "api_", ALNUM, 40, ""),
    ("mailchimp", "api_key", "", HEX, 32, "-us" + "12"),
    ("mailgun", "private_key", "key-", HEX, 32, ""),
    ("netlify", "access_token", "", BASE64URL, 43, ""),
    ("newrelic", "user_key", "NR" + "AK-", UPNUM, 27, ""),
    ("npm", "token", "np" + "m_", ALNUM, 30, "{crc}"),
    ("okta", "api_token", "00", BASE64URL, 40, ""),
    ("openai", "api_key", "sk-" + "proj-", BASE64URL, 74, "T3Blbk" + "FJ{base64url-74}"),
    ("pagerduty", "api_key", "", BASE64URL, 20, ""),
    ("planetscale", "password", "pscale_" + "pw_", BASE64URL, 43, ""),
    ("postman", "api_key", "PM" + "AK-", HEX, 24, "-{hex34}"),
    ("pulumi", "access_token", "pul-", HEX, 40, ""),
    ("pypi", "token", "pypi-" + "AgEIcHlwaS5vcmc", BASE64URL, 140, ""),
    ("rapidapi", "key", "", LOWNUM, 50, ""),
    ("rubygems", "api_key", "ruby" + "gems_", HEX, 48, ""),
    ("sendgrid", "api_key", "S" + "G.", BASE64URL, 22, ".{base64url-43}"),
    ("sentry", "auth_token", "", HEX, 64, ""),
    ("shopify", "access_token", "shp" + "at_", HEX, 32, ""),
    ("slack", "bot_token", "xox" + "b-", DIGITS, 12, "-{digits12}-{alnum24}"),
    ("snyk", "token", "", "uuid", 0, ""),
    ("sonar", "token", "sq" + "p_", HEX, 40, ""),
    ("square", "access_token", "EA" + "AA", BASE64URL, 60, ""),
    ("stripe", "secret_key", "sk_" + "live_", ALNUM, 24, ""),
    ("telegram", "bot_token", "", DIGITS, 10, ":AA{base64url-33}"),
    ("terraform", "token", "", ALNUM, 14, ".atl" + "asv1.{base64url-64}"),
    ("travis", "token", "", BASE64URL, 22, ""),
    ("trello", "token", "", HEX, 64, ""),
    ("twilio", "auth_token", "", HEX, 32, ""),
    ("twitter", "api_secret", "", ALNUM, 50, ""),
    ("vault", "token", "hv" + "s.", BASE64URL, 90, ""),
    ("vercel", "token", "", ALNUM, 24, ""),
    ("zendesk", "secret_key", "", ALNUM, 40, ""),
)

# {snake} {upper} {camel} {kebab} are spellings of the name, {v} the value
SYNTAX = (
    ("conf.py", '{snake} = "{v}"'),
    ("settings.py", "{upper} = '{v}'"),
    ("app.js", 'const {camel} = "{v}";'),
    ("config.js", "  {camel}: '{v}',"),
    ("config.json", '{{"{camel}": "{v}", "debug": false}}'),
    ("main.go", '\t{camel} := "{v}"'),
    ("main.go", 'os.Setenv("{upper}", "{v}")'),
    ("App.java", 'private static final String {upper} = "{v}";'),
    ("App.java", 'System.setProperty("{upper}", "{v}");'),
    ("Program.cs", 'public string {camel} {{ get; set; }} = "{v}";'),
    ("appsettings.json", '    "{camel}": "{v}"'),
    ("config.yml", "{snake}: {v}"),
    ("values.yaml", '  {camel}: "{v}"'),
    ("deploy.yaml", "env:\n  - name: {upper}\n    value: {v}\n"),
    (".env", "{upper}={v}"),
    ("run.sh", "export {upper}={v}"),
    ("run.sh", "export {upper}='{v}'"),
    ("Dockerfile", "ENV {upper} {v}"),
    ("Dockerfile", "ENV {upper}={v}"),
    ("app.properties", "{snake}={v}"),
    ("setup.ini", "{snake} = {v}"),
    ("pom.xml", "<{camel}>{v}</{camel}>"),
    ("web.config", '<add key="{camel}" value="{v}" />'),
    ("config.php", "'{snake}' => '{v}',"),
    ("wp.php", "define('{upper}', '{v}');"),
    ("config.rb", "config.{snake} = '{v}'"),
    ("Config.toml", '{snake} = "{v}"'),
    ("main.tf", '  {snake} = "{v}"'),
    ("main.rs", 'let {snake} = "{v}";'),
    ("call.sh", "curl https://api.acme.io/v1/items?{snake}={v}"),
    ("test_api.py", 'client = Client(url, {snake}="{v}")'),
    ("conf.lua", '{snake} = "{v}"'),
    ("App.kt", 'val {camel} = "{v}"'),
    ("App.swift", 'let {camel} = "{v}"'),
    ("app.ts", "process.env.{upper} = '{v}';"),
    ("conf.py", 'config["{snake}"] = "{v}"'),
)

PASSWORD_NAMES = [
    "password",
    "db_password",
    "admin_password",
    "smtp_password",
    "user_passwd",
    "root_pwd",
    "ftp_pass",
    "mysql_password",
    "keystore_password",
    "redis_pass",
    "ldap_bind_password",
    "passphrase",
    "ssh_passphrase",
    "test_password",
]
SECRET_NAMES = [
    "secret",
    "client_secret",
    "jwt_secret",
    "session_secret",
    "app_secret",
    "access_token",
    "auth_token",
    "api_key",
    "apikey",
    "secret_key",
    "encryption_key",
    "signing_key",
    "private_token",
    "webhook_secret",
    "bearer_token",
    "refresh_token",
]
PLACEHOLDERS = [
    "changeme",
    "your-api-key-here",
    "<your-token>",
    "${API_TOKEN}",
    "{{",
    "vault_secret",
    "}}",
    "xxxxxxxxxxxxxxxxxxxx",
    "REPLACE_ME",
    "**********",
    "%(password)s",
    "$(cat",
    "/run/secrets/key)",
    "YOUR_SECRET_KEY",
    "example-token-value",
    "insert_key_here",
    "#{ENV['SECRET']}",
    "dummy-token",
    "sample_password",
    "None",
    "null",
    "TODO",
    "redacted",
    "not-a-real-secret",
    "0000000000000000",
    "12345678",
    "abcdefghijklmnop",
    "1234567890abcdef",
    "password123",
    "secretsecret",
    "my-secret-token",
    "test_token",
    "fake_api_key_for_tests",
    "@Value(db.password)",
    "<%=key%>",
    "env:DB_PASSWORD",
    "vault:secret/data/app#key",
]
WORDS = [
    "password",
    "token",
    "secret",
    "username",
    "string",
    "required",
    "hidden",
    "text",
    "bearer",
    "enabled",
    "default",
    "admin",
    "postgres",
    "root",
    "current_password",
    "newPassword",
    "accessToken",
    "getSecret",
    "Password",
    "SecretString",
    "refresh_token",
    "password_reset",
    "token-based",
    "form.password",
    "this.token",
    "user.password",
    "settings.SECRET_KEY",
    "password-field",
    "forgotPassword",
    "auth.token.invalid",
    "errors.password.required",
    "text/plain",
    "application/json",
    "/etc/app/token.txt",
    "./keys/private.pem",
    "secrets.json",
    "https://example.org/token",
    "us-east-1",
    "HS256",
    "AES-256-GCM",
    "RS256",
    "sha256",
    "Basic",
    "Bearer",
    "oauth2",
    "ApiKeyAuth",
    "SecretsManager",
    "kubernetes.io/tls",
    "com.acme.security.TokenProvider",
    "TOKEN_EXPIRED",
    "IncorrectPassword",
    "PASSWORD_TOO_SHORT",
    "credentials-provider",
    "v1.2.3",
    "2024-01-31",
    "10.0.0.1",
    "30s",
    "86400",
    "utf-8",
]
CODE = (
    ("a.py", "token = tokenizer.next_token()"),
    ("a.py", 'password = os.environ["DB_PASSWORD"]'),
    ("a.py", "secret = get_secret(name)"),
    ("a.py", "api_key = settings.API_KEY1"),
    ("a.py", 'password = input("Enter your password: ")'),
    ("a.py", "def login(self, password=None, token=DEFAULT2):"),
    ("a.py", 'raise ValueError("password must have at least 8 characters")'),
    ("a.py", 'TOKEN_URL = "https://auth.acme.io/oauth2/token"'),
    ("a.py", 'PASSWORD_HASHER = "django.contrib.auth.hashers.Argon2PasswordHasher"'),
    ("a.js", "const token = req.headers['x-access-token'];"),
    ("a.js", "password: Joi.string().min(8).max(64).required(),"),
    ("a.js", "const secret = process.env.JWT_SECRET || undefined;"),
    ("a.js", "<input type=\"password\" name='password' id='inputPassword3' />"),
    ("a.js", 'placeholder="Password" autocomplete="current-password"'),
    ("a.js", "if (token === TokenType.Bearer2) {"),
    ("a.js", "key: 'user-settings-panel-2',"),
    ("a.go", "token := strings.TrimPrefix(header, bearerPrefix)"),
    ("a.go", 'Password string `json:"password" validate:"min8"`'),
    ("a.go", "secretKey := rsa.GenerateKey(rand.Reader, 2048)"),
    ("a.java", 'String password = request.getParameter("password");'),
    ("a.java", 'private String token = TOKEN_PREFIX2 + "." + id;'),
    ("a.java", '@Column(name = "password_hash", length = 60)'),
    ("a.rb", "password = Digest::SHA256.hexdigest(params[:password])"),
    ("a.rb", "config.secret_key_base = Rails.application.credentials.secret_key_base"),
    ("a.php", "$password = $_POST['password'];"),
    ("a.php", "'password' => bcrypt($request->password),"),
    ("a.cs", 'var token = await GetTokenAsync("api1");'),
    ("a.c", 'token = strtok_r(NULL, " ", &saveptr1);'),
    ("a.c", 'static const char *password_file = "/etc/app/passwd2";'),
    ("a.sh", 'TOKEN="$(vault read -field=token secret/ci1)"'),
    ("a.sh", "PASSWORD=$1"),
    ("a.sh", "read -s -p 'Password: ' PASSWORD2"),
    ("a.yml", "password: ${{ secrets.DB_PASSWORD_2 }}"),
    ("a.yml", "secretName: app-tls-secret-v2"),
    ("a.yml", "token: !Ref ApiTokenParameter2"),
    ("a.yml", "passwordSecretRef: {name: db-credentials-1, key: password}"),
    ("a.tf", "password = var.db_password_v2"),
    ("a.tf", 'secret_id = "projects/acme/secrets/api-key/versions/1"'),
    ("a.md", "Set `API_KEY` to the key from your account page, e.g. `API_KEY=abc123`."),
    ("a.md", "The token expires after 3600 seconds; pass --token to renew it."),
    ("a.po", 'msgid "Your password has been changed."'),
    ("a.xml", "<passwordPolicy>minLength8</passwordPolicy>"),
    ("a.xml", '<property name="password" value="${jdbc.password1}"/>'),
    ("a.sql", "password varchar(255) NOT NULL,"),
    ("a.html", '<label for="password1">Password</label>'),
    ("a.ts", "export type TokenKind = 'access' | 'refresh2';"),
    ("a.ts", "getToken(key: string, token2: Token): Promise<string>;"),
    ("a.kt", "val tokenStore = TokenStore2(context)"),
    ("a.css", ".password-toggle-2 { color: #3a7bd5 }"),
    ("go.sum", "golang.org/x/oauth2 v0.5.0 h1:{b64}="),
    ("package-lock.json", '"integrity": "sha512-{b64}{b64}=="'),
    ("yarn.lock", 'resolved "https://registry.acme.io/token/-/token-1.2.tgz#{hex40}"'),
    ("a.yml", "uses: actions/checkout@{hex40}"),
    ("a.py", 'COMMIT = "{hex40}"'),
    ("a.py", 'md5 = "{hex32}"'),
    ("a.json", '"checksum": "{hex64}"'),
    ("a.json", '"id": "{uuid}"'),
    ("a.sln", 'Project("{uuid}") = "App"'),
    ("a.html", '<link integrity="sha384-{b64}" rel="stylesheet">'),
    ("a.py", 'ETAG = "{hex32}"'),
    ("a.css", "src: url(data:font/woff2;base64,d09GMgABAAAA{b64})"),
    ("a.pub", "ssh-rsa AAAAB3NzaC1yc2E{b64} user@host"),
    ("a.py", 'public_key = "{b64}"'),
    ("a.py", 'next_page_token = "{alnum32}"'),
    ("a.py", 'cache_key = "user:profile:{hex32}"'),
    ("a.py", 'primary_key = "{alnum20}"'),
)


def _spelled(name):
    words = name.split("_")
    return {
        "snake": name,
        "upper": name.upper(),
        "camel": words[0] + "".join(map(str.capitalize, words[1:])),
        "kebab": name.replace("_", "-"),
    }


def _filled(text, noise):
    for mark, make in (
        ("{hex64}", lambda: noise.text(HEX, 64)),
        ("{hex40}", lambda: noise.text(HEX, 40)),
        ("{hex34}", lambda: noise.text(HEX, 34)),
        ("{hex32}", lambda: noise.text(HEX, 32)),
        ("{base32-64}", lambda: noise.text(BASE32, 64)),
        ("{base64url-74}", lambda: noise.text(BASE64URL, 74)),
        ("{base64url-64}", lambda: noise.text(BASE64URL, 64)),
        ("{base64url-43}", lambda: noise.text(BASE64URL, 43)),
        ("{base64url-33}", lambda: noise.text(BASE64URL, 33)),
        ("{digits12}", lambda: noise.text(DIGITS, 12)),
        ("{alnum20}", lambda: noise.text(ALNUM, 20)),
        ("{alnum24}", lambda: noise.text(ALNUM, 24)),
        ("{alnum32}", lambda: noise.text(ALNUM, 32)),
        ("{b64}", lambda: noise.text(BASE64, 43)),
        ("{uuid}", noise.uuid),
    ):
        while mark in text:
            text = text.replace(mark, make(), 1)
    return text


def _key(noise, prefix, alphabet, length, suffix):
    body = noise.uuid() if alphabet == "uuid" else noise.text(alphabet, length)
    if suffix == "{crc}":
        return prefix + body + _crc(body)
    return prefix + body + _filled(suffix, noise)


def _crc(body):
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = (DIGITS + LOWER.upper() + LOWER)[digit] + digits
    return digits


def _written(noise, name, value):
    path, form = noise.pick(SYNTAX)
    return path, form.format(v=value, **_spelled(name)) + "\n"


def published(seed="tune", each=4):
    """Give what documents of issuers and tests of scanners show: keys, and what is nearly one."""
    noise, samples = Noise(f"{seed}:published"), []
    for service, what, *format_ in FORMATS:
        for _ in range(each):
            value = _key(noise, *format_)
            path, text = _written(noise, f"{service}_{what}", value)
            samples.append(Sample(f"key:{service}", path, text, True))
        for near in _near_misses(noise, service, format_):
            path, text = _written(noise, f"{service}_{what}", near)
            samples.append(Sample("near miss", path, text, False))
    return samples


def _near_misses(noise, service, format_):
    """Give values that a key of this format is not: filled in, repeated, counted, in words."""
    prefix, alphabet, length, _ = format_
    length = length or 36
    sign = noise.pick("xX*0.a")
    yield prefix + sign * length
    yield prefix + ("abcdefghijklmnopqrstuvwxyz0123456789" * 8)[:length]
    yield noise.pick(PLACEHOLDERS)
    yield f"your_{service}_key"
    if prefix and alphabet != "uuid":
        yield prefix + noise.text(ALNUM, 3)


def labelled(seed="tune", many=900):
    """Give lines of repositories: passwords, secrets, tokens, logins; and what names resemble."""
    noise, samples = Noise(f"{seed}:labelled"), []
    for _ in range(many):
        path, text = _written(noise, noise.pick(PASSWORD_NAMES), noise.password())
        samples.append(Sample("password", path, text, True))
    for _ in range(many // 2):
        value = noise.text(noise.pick((HEX, ALNUM, BASE64URL, LOWNUM)), 16 + noise.number(40))
        path, text = _written(noise, noise.pick(SECRET_NAMES), value)
        samples.append(Sample("secret", path, text, True))
    samples.extend(_structured(noise) for _ in range(many // 3))
    for _ in range(many):
        name = noise.pick((*PASSWORD_NAMES, *SECRET_NAMES))
        path, text = _written(noise, name, noise.pick((*PLACEHOLDERS, *WORDS)))
        samples.append(Sample("word", path, text, False))
    for number in range(many * 2):
        path, text = CODE[number % len(CODE)]
        samples.append(Sample("code", path, _filled(text, noise) + "\n", False))
    return samples


def _structured(noise):
    """Give a login in a URL, a header, a command or a connection string; a JWT; a private key."""
    password = noise.text(ALNUM, 10 + noise.number(8))
    login = base64.b64encode(f"svc:{password}".encode()).decode()
    header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    claims = base64.urlsafe_b64encode(json.dumps({"sub": noise.uuid(), "exp": 1893456000}).encode())
    jwt = ".".join(
        (header.decode().rstrip("="), claims.decode().rstrip("="), noise.text(BASE64URL, 43))
    )
    key = "MIIE" + noise.text(BASE64, 60)
    lines = "\n".join([key, *(noise.text(BASE64, 64) for _ in range(12))])
    path, text = noise.pick(
        (
            ("db.yml", f"url: postgres://app:{password}@db.acme.io:5432/app"),
            ("app.py", f'client = MongoClient("mongodb://root:{password}@10.1.2.3:27017")'),
            ("run.sh", f"curl -u deploy:{password} https://ci.acme.io/job/build"),
            (
                "run.sh",
                f'curl -H "Authorization: Bearer {noise.text(ALNUM, 40)}" https://api.acme.io',
            ),
            ("req.http", f"Authorization: Basic {login}"),
            ("app.config", f"Server=db1;Database=app;User Id=sa;Password={password};"),
            ("init.sql", f"CREATE USER app IDENTIFIED BY '{password}';"),
            ("api.js", f"const token = '{jwt}';"),
            ("id.pem", f"-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----"),
            ("app.py", f'requests.get(url, auth=("svc", "{password}"))'),
            ("a.groovy", f'if (password == "{password}") {{'),
            ("run.sh", f"mysql --user=app --password={password}7 app"),
            (".netrc", f"machine ftp.acme.io login app password {password}7"),
            ("a.cs", f'optionsBuilder.UseSqlServer("Data Source=x;User ID=sa;Pwd={password}");'),
        )
    )
    return Sample("structured", path, text + "\n", True)
