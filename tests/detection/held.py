"""Held: labelled samples that nothing is tuned on.

Other issuers, spellings, lines and ways to make a password than in ``tune``. Look at the totals,
not at the samples: whoever looks at one and changes a rule for it has moved it to ``tune``.
"""

from __future__ import annotations

import base64

from detection.noise import (
    ALNUM,
    BASE64,
    BASE64URL,
    DIGITS,
    HEX,
    LOWER,
    LOWNUM,
    SIGNS,
    UPNUM,
    UPPER,
    Noise,
)
from detection.sample import Sample

# service, what its key is called, how it is made; {…} are alphabets and lengths
FORMATS = (
    ("adafruit", "io_key", "aio_{alnum28}"),
    ("alchemy", "api_key", "{b64url32}"),
    ("amplitude", "secret_key", "{hex32}"),
    ("beamer", "api_token", "b_{alnum44}"),
    ("bittrex", "secret_key", "{hex32}"),
    ("branch", "secret", "{alnum32}"),
    ("buildkite", "token", "bkua" + "_{hex40}"),
    ("clojars", "token", "CLO" + "JARS_{hex60}"),
    ("coinbase", "access_token", "{b64url64}"),
    ("confluent", "secret_key", "{b6464}"),
    ("contentful", "token", "CF" + "PAT-{b64url43}"),
    ("doppler", "token", "dp" + ".pt.{alnum43}"),
    ("droneci", "access_token", "{low32}"),
    ("duffel", "api_token", "duffel_" + "live_{b64url43}"),
    ("easypost", "api_key", "EZ" + "AK{alnum54}"),
    ("etsy", "access_token", "{low24}"),
    ("finnhub", "access_token", "{low20}"),
    ("flickr", "access_token", "{hex32}"),
    ("flutterwave", "secret_key", "FLW" + "SECK-{hex32}-X"),
    ("frameio", "token", "fio-" + "u-{b64url64}"),
    ("freshbooks", "access_token", "{hex64}"),
    ("hashicorp", "token", "{alnum14}.atl" + "asv1.{b64url65}"),
    ("infracost", "api_token", "ic" + "o-{alnum32}"),
    ("jotform", "api_key", "{hex32}"),
    ("kraken", "access_token", "{b6486}=="),
    ("kucoin", "secret_key", "{uuid}"),
    ("launchdarkly", "access_token", "{b64url40}"),
    ("linkedin", "client_secret", "{alnum16}"),
    ("lob", "api_key", "live_{hex35}"),
    ("mapbox", "api_token", "sk.ey" + "J{alnum80}.{b64url22}"),
    ("mattermost", "access_token", "{low26}"),
    ("messagebird", "api_token", "{alnum25}"),
    ("notion", "token", "secret_{alnum43}"),
    ("nytimes", "access_token", "{alnum32}"),
    ("plaid", "secret_key", "{hex30}"),
    ("prefect", "api_token", "pn" + "u_{low36}"),
    ("readme", "api_token", "rd" + "me_{low70}"),
    ("replicate", "api_token", "r" + "8_{alnum37}"),
    ("resend", "api_key", "r" + "e_{alnum8}_{alnum24}"),
    ("sendinblue", "api_token", "xkey" + "sib-{hex64}-{alnum16}"),
    ("sidekiq", "secret", "{hex8}:{hex8}"),
    ("squarespace", "access_token", "{uuid}"),
    ("sumologic", "access_key", "{alnum64}"),
    ("supabase", "service_key", "sb" + "p_{hex40}"),
    ("typeform", "api_token", "tf" + "p_{b64url59}"),
    ("yandex", "api_key", "AQVN{b64url36}"),
    ("zapier", "deploy_key", "{hex32}"),
)
SYNTAX = (
    ("lib/conf.pl", "my ${low} = '{v}';"),
    ("src/App.scala", 'val {camel}: String = "{v}"'),
    ("src/main.cpp", 'const std::string {camel} = "{v}";'),
    ("src/config.h", '#define {upper} "{v}"'),
    ("docker-compose.yml", "      - {upper}={v}"),
    ("docker-compose.yml", '      {upper}: "{v}"'),
    ("ci/pipeline.yml", "  {kebab}: {v}"),
    ("chart/values.json", '{{"env": [{{"name": "{upper}", "value": "{v}"}}]}}'),
    ("bin/deploy", "tool --{kebab} {v} --force"),
    ("bin/deploy", 'tool --{kebab}="{v}"'),
    ("server.xml", '<Resource name="db" {camel}="{v}"/>'),
    ("res/strings.xml", '<string name="{low}">{v}</string>'),
    ("app.plist", "<key>{camel}</key><string>{v}</string>"),
    ("set.ps1", '$Env:{upper} = "{v}"'),
    ("set.bat", "set {upper}={v}"),
    ("conf.ex", 'config :app, {low}: "{v}"'),
    ("app.r", 'Sys.setenv({upper} = "{v}")'),
    ("core.clj", '(def {kebab} "{v}")'),
    ("notes.md", "* {low}: `{v}`"),
    ("Jenkinsfile", "environment {{ {upper} = '{v}' }}"),
    ("app.js", "axios.post(url, {{ {camel}: '{v}' }})"),
    ("app.py", 'parser.add_argument("--{kebab}", default="{v}")'),
    ("app.py", '{upper} = os.getenv("{upper}", "{v}")'),
    ("app.php", '${low} = "{v}";'),
    ("app.py", 'headers = {{"X-{kebab}": "{v}"}}'),
    ("tests/login_test.go", 'req.Header.Set("{kebab}", "{v}")'),
)
NAMES = [
    "database_password",
    "postgres_pwd",
    "wifi_password",
    "vpn_pass",
    "proxy_password",
    "admin_pass",
    "truststore_password",
    "jwt_secret_key",
    "cookie_secret",
    "shared_secret",
    "storage_account_key",
    "oauth_token",
    "x_auth_token",
    "id_token",
    "service_account_key",
    "private_key_password",
    "hmac_secret",
    "deploy_token",
]
NOTHING = [
    "replace-with-your-own",
    "{{",
    ".Values.password",
    "}}",
    "${env.SECRET}",
    "<SECRET>",
    "[REDACTED]",
    "*****",
    "xxxx-xxxx-xxxx",
    "aaaaaaaaaaaaaaaaaaaa",
    "1111111111",
    "qwertyuiop",
    "placeholder-value",
    "enter_password_here",
    "$DB_PASS",
    "%DB_PASS%",
    "@@TOKEN@@",
    "__SECRET__",
    "changeit",
    "letmein",
    "hunter",
    "secret-name",
    "string",
    "boolean",
    "required",
    "optional",
    "passwordInput",
    "authService.token",
    "config.get",
    "$.token",
    "data.secret.name",
    "/run/secrets/token",
    "keys/id.pub",
    "https://login.acme.io/oauth/authorize",
    "Bearer",
    "application/x-www-form-urlencoded",
    "api.acme.io",
    "acme/app:1.4.2",
    "en_US.UTF-8",
    "ECDSA-P256",
    "PBKDF2WithHmacSHA256",
    "tokenEndpointAuthMethod",
    "client_credentials",
    "implicit",
    "user-pool-token",
    "MISSING_TOKEN",
    "invalid_grant",
    "my-k8s-secret",
    "db-secret-ref",
    "TokenValidationError",
    "Secret123",
    "test",
    "test1234",
    "demo",
    "foobar",
    "dummy-secret",
    "sampletoken",
    "fakeApiKey",
    "someRandomSecret",
    "nosecret",
]
LINES = (
    ("src/auth.rs", "let token = self.tokens.get(&id).cloned().unwrap_or_default();"),
    ("src/auth.rs", "pub fn with_password(mut self, password: impl Into<String>) -> Self {"),
    ("src/auth.scala", "val password = sys.env.getOrElse(passwordKey1, default2)"),
    ("src/auth.ts", "const { accessToken, refreshToken } = await client.login(user, password);"),
    ("src/auth.ts", "type Props = { apiKey?: string; secret: SecretRef<'v1'> }"),
    ("src/auth.ts", "expect(screen.getByLabelText('Password')).toBeInTheDocument();"),
    ("src/i18n/en.json", '"password": "Password", "passwordHint": "At-least-8-characters"'),
    ("src/i18n/de.json", '"password.forgot": "Passwort-vergessen?"'),
    ("src/x.java", '@Value("${app.security.jwt.secret-key}") private String secretKey;'),
    ("src/x.java", 'public static final String PASSWORD_PARAMETER = "j_password";'),
    ("src/x.java", "keyStore.load(stream, password.toCharArray());"),
    ("src/x.cs", 'services.AddOptions<TokenOptions>().BindConfiguration("Auth:Token:V2");'),
    ("src/x.cs", 'public const string ApiKeyHeaderName = "X-Api-Key";'),
    ("src/x.rb", "has_secure_password validations: false"),
    ("src/x.rb", "expect(user.authenticate(password)).to eq(user2)"),
    ("src/x.php", "$token = bin2hex(random_bytes(32));"),
    ("src/x.php", "if (!password_verify($password, $user['password_hash'])) {"),
    ("src/x.c", 'if (strcmp(token, "END_OF_LIST1") == 0) key = TOK_END2;'),
    ("src/x.c", "static const struct option opts[] = {{\"password\", required_argument, 0, 'p'}};"),
    ("src/x.go", 'ErrInvalidToken = errors.New("auth: invalid token")'),
    ("src/x.go", 'secretName := fmt.Sprintf("%s-tls-%d", name, index2)'),
    ("src/x.py", 'assert response.json()["token"] == user.auth_token.key1'),
    ("src/x.py", "tokens = self.tokenizer.encode(text, max_length=512)"),
    ("src/x.py", "key = hashlib.sha256(salt + password.encode()).hexdigest()"),
    ("src/x.py", 'sort_key = operator.attrgetter("created_at2")'),
    ("src/x.sh", 'export GITHUB_TOKEN=$(gh auth token --hostname "$HOST1")'),
    ("src/x.sh", 'openssl passwd -6 -salt "$SALT2" "$PASSWORD3"'),
    ("k8s/x.yml", "secretKeyRef: {key: postgres-password, name: db-v2}"),
    ("k8s/x.yml", "automountServiceAccountToken: false"),
    ("k8s/x.yml", "imagePullSecrets: [{name: registry-key-1}]"),
    (".github/workflows/ci.yml", "token: ${{ secrets.NPM_TOKEN2 }}"),
    ("tf/main.tf", "password = random_password.db2.result"),
    ("tf/main.tf", 'kms_key_id = "arn:aws:kms:eu-west-1:123456789012:key/{uuid}"'),
    (
        "docs/a.md",
        "Create a token at https://acme.io/settings/tokens and run `acme login --token <TOKEN>`.",
    ),
    ("docs/a.md", "`password`: the password (string, 8-64 characters)"),
    ("poetry.lock", '    {file = "token-1.0.tar.gz", hash = "sha256:{hex64}"},'),
    ("Cargo.lock", 'checksum = "{hex64}"'),
    ("Gemfile.lock", "  token_parser (1.2.3) sha256={hex64}"),
    ("Pipfile.lock", '            "sha256:{hex64}",'),
    ("src/x.py", 'build_id = "{hex40}"'),
    ("src/x.py", "REVISION = '{hex40}'  # token parser"),
    ("src/x.js", "const requestId = '{uuid}';"),
    ("src/x.html", '<script src="https://cdn.acme.io/a.js" integrity="sha512-{b6486}=="></script>'),
    ("src/x.json", '{"sha": "{hex40}", "node_id": "{b6424}"}'),
    ("src/x.svg", '<image href="data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA{b6486}"/>'),
    ("src/x.crt", "-----BEGIN CERTIFICATE-----\nMIID{b6460}\n{b6464}\n-----END CERTIFICATE-----"),
    (
        "src/x.pub",
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBg{b6454}\n{b6464}\n-----END PUBLIC KEY-----",
    ),
)
_ALPHABETS = {
    "alnum": ALNUM,
    "b64url": BASE64URL,
    "b64": BASE64,
    "hex": HEX,
    "low": LOWNUM,
    "up": UPNUM,
    "digits": DIGITS,
}


def _filled(text, noise):
    """Put noise in the place of {hex32}, {b64url40} and their like."""
    done = ""
    while "{" in text:
        before, _, rest = text.partition("{")
        mark, closed, after = rest.partition("}")
        done += before
        alphabet = next(
            (one for one in _ALPHABETS if mark.startswith(one) and mark[len(one) :].isdigit()), None
        )
        if mark == "uuid":
            done, text = done + noise.uuid(), after
        elif closed and alphabet:
            done, text = done + noise.text(_ALPHABETS[alphabet], int(mark[len(alphabet) :])), after
        else:
            done, text = done + "{", rest
    return done + text


def _written(noise, name, value):
    path, form = noise.pick(SYNTAX)
    first, *rest = name.split("_")
    return path, form.format(
        v=value,
        low=name,
        upper=name.upper(),
        camel=first + "".join(map(str.capitalize, rest)),
        kebab=name.replace("_", "-"),
    ) + "\n"


def published(seed="held", each=5):
    """Give keys as documents of issuers show them, and what is nearly one."""
    noise, samples = Noise(f"{seed}:published"), []
    for service, what, format_ in FORMATS:
        for _ in range(each):
            path, text = _written(noise, f"{service}_{what}", _filled(format_, noise))
            samples.append(Sample(f"key:{service}", path, text, True))
        head = format_.partition("{")[0]
        for near in (
            head + noise.pick("xX*0-") * 32,
            head,
            noise.pick(NOTHING),
            f"<{service}-{what}>",
            head + "EXAMPLE" * 4,
            head + "0123456789abcdef" * 2,
            head + "abc123",
        ):
            path, text = _written(noise, f"{service}_{what}", near)
            samples.append(Sample("near miss", path, text, False))
    return samples


def _password(noise):
    match noise.number(5):
        case 0:
            return noise.text(ALNUM + SIGNS, 12)
        case 1:
            return (
                noise.text(UPPER, 2)
                + noise.text(DIGITS, 3)
                + noise.pick("!$&*")
                + noise.text(LOWER, 4)
            )
        case 2:
            return "-".join(noise.text(ALNUM, 5) for _ in range(3))
        case 3:
            return noise.text(LOWER, 7) + noise.text(DIGITS, 2)
        case _:
            return noise.text(ALNUM, 9 + noise.number(12))


def labelled(seed="held", many=600):
    """Give lines of repositories: passwords, secrets, logins; and what their names resemble."""
    noise, samples = Noise(f"{seed}:labelled"), []
    for _ in range(many):
        path, text = _written(noise, noise.pick(NAMES), _password(noise))
        samples.append(Sample("password", path, text, True))
    samples.extend(_login(noise) for _ in range(many // 4))
    for _ in range(many):
        path, text = _written(noise, noise.pick(NAMES), noise.pick(NOTHING))
        samples.append(Sample("word", path, text, False))
    for number in range(many * 2):
        path, text = LINES[number % len(LINES)]
        samples.append(Sample("line", path, _filled(text, noise) + "\n", False))
    return samples


def _login(noise):
    """Give a login as it stands in URLs, commands, headers and statements."""
    password = noise.text(ALNUM, 12)
    pair = base64.b64encode(f"robot:{password}".encode()).decode()
    path, text = noise.pick(
        (
            ("a.yml", f"amqp_url: amqp://worker:{password}@mq.acme.io:5672/jobs"),
            ("a.sh", f"git clone https://robot:{password}@git.acme.io/app.git"),
            ("a.sh", f"wget --user=robot --password={password}8 https://acme.io/a"),
            ("a.sh", f"sshpass -p '{password}' ssh root@10.2.3.4"),
            (
                "a.js",
                f"fetch(url, {{headers: {{Authorization: 'Bearer {noise.text(BASE64URL, 48)}'}}}})",
            ),
            ("a.py", f"headers = {{'Authorization': 'Basic {pair}'}}"),
            ("a.sql", f"ALTER USER robot WITH PASSWORD '{password}';"),
            ("a.sql", f"GRANT ALL ON *.* TO robot IDENTIFIED BY '{password}';"),
            ("a.ini", f"conn = Host=db;Username=robot;Password={password}1;Port=5432"),
            ("a.java", f'DriverManager.getConnection(url, "robot", "{password}");'),
            ("a.json", f'{{"auths": {{"hub.acme.io": {{"auth": "{pair}"}}}}}}'),
            ("a.cs", f'new NetworkCredential("robot", "{password}")'),
            ("a.env", f"REDIS_URL=redis://:{password}@cache.acme.io:6379/0"),
        )
    )
    return Sample("login", path, text + "\n", True)
