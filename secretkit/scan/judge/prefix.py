"""Prefix: what keys of one issuer begin with, and hardly anything else does.

They are the prefixes that issuers publish, of the built-in rules that know the whole format.
"""

from __future__ import annotations

import functools
from typing import Final

__all__ = ["of_issuer"]

_LONGEST: Final = 24
_TEXT: Final = """
3MVG9 ABIA ABSK ACCA AGE-PLUGIN- AGE-SECRET-KEY-1 AIza AKIA AKLT ASIA ATATT3x ATBB
ATCTT3x AVNS_ CCDB1_ CCIPAT_ CCIPRJ_ CFPAT- CLOJARS_ EZAK EZTK FLWSECK FQoGZXIvYXdz FwoGZXIvYXdz
GOCSPX- GR1348941 HRKU- IQoJb3JpZ2lu LTAI NRAA- NRAK- NRBR- NRII- NRIQ- NRJS- NRRA- NRSP- PMAK-
PMAT- RGAPI- SBX- SG. SWMKEY-1- SWMTKN-1- age-plugin- ajkey_ akab- aks_ amzn.mws.
amzn1.oa2-cs.v1. ap2_ aph0_ apify_api_ apiv3_ asat_ authress_ bb_live_ bedrock-api-key- bkaa_
bkar_ bkat_ bkcqt_ bkct_ bkpat_ bkps_ bkpt_ bkrt_ bktr_ bktx_ bkua_ bkur_ bpk- bt-st- bxt_ ccp_
censys_ cfat_ cfk_ cfut_ chpt_ corbado1_ cpk_ crsr_ csb_ csk- ctx7sk- cxth_ cxtp_ cxtu_ da2-
dapi dbtc_ dbtu_ dckr_oat_ dckr_pat_ ddapp_ ddo_ ddp_ ddpat_ ddsat_ ddu_ ddw_ dls_ dnsimple_a_
dnsimple_o_ dnsimple_u_ doo_v1_ dop_v1_ dor_v1_ dp.audit. dp.ct. dp.pt. dp.sa. dp.said. dp.scim.
dp.scrt. dp.st. dsp_ dtn_ duffel_live_ duffel_test_ dvc_client_ dvc_mobile_ dvc_server_ e2b_
esecret_ essu_ fhb- figd_ figo_ figoh_ figor_ figu_ figur_ flp_ fo1_ gapi_ gb_api_ gho_ ghp_
ghr_ ghs_ ghu_ github_pat_ gitpod_pat_ glagent- glcbt- gldt- glffct- glft- glimt- gloas- glpat-
glptt- glrt glsa_ glsoat- glwt- gsk_ gto_ hbp_ hcaik_ hcamk_ hcbik_ hcbmk_ hccik_ hccmk_ hcr_
hcw_ hcxik_ hcxmk_ hf_ hl_sk_ hskey-api- hskey-auth- hskey-authreq- hvb. hvr. hvs. ico- inc_
jca_ jina_ jsrd_ jsrp_ jsrw_ klarna_live_api_ klarna_test_api_ knock_st_ kpat_ kubeconfig-u-
kubeconfig-user- lin_api_ lin_oauth_ lin_wh_ llx- ls__ lsv2_pt_ lsv2_sk_ mar_ mat_ mcr_ mct_
mdb_sa_sk_ mfa. mpt_ msy_ mzp_ n8n_api_ napi_ nbp_ nfb_ nfc_ nfo_ nfp_ nfu_ npg_ npm_ ntn_
nvapi- nyk_v0_ odt_ ol_api_ opk_ ory_ac_ ory_apikey_ ory_at_ ory_pat_ ory_rt_ ory_st_ ory_wak_
os_v2_app_ os_v2_org_ p8e- packagist_ pckey_ pcsk_ pdl_live_apikey_ pdl_ntfset_ pdl_sdbx_apikey_
permit_key_ ph0_ phs_ phx_ pina_ pk-helicone- pk-lf- pk1_ pk_development_ pk_prod_
pk_production_ pk_test_ plane_api_ pnb_ pnu_ pplx- pscale_oauth_ pscale_pw_ pscale_tkn_ ptla_
ptlc_ ptr_ pul- pypi-AgEIcHlwaS5vcmc r8_ rdme_ retool_wk_ rft. rk_live_ rk_test_ rnd_ rootly_
rpa_ rubygems_ ruk_ rwk_ rzp_live_ rzp_test_ s-s4t2af- s-s4t2ud- sb_secret_ sbp_ scauth_ sdbapi_
sdbst_h256_ sec-c- sgai- sgamp_user_ sgd_ sgs_ shippo_live_ shippo_test_ shpat_ shpca_ shppa_
shpss_ shptka_ shpua_ signkey-branch- signkey-prod- signkey-staging- signkey-test- sk-None-
sk-admin- sk-ant- sk-api- sk-cp- sk-do- sk-helicone- sk-kimi- sk-let- sk-lf- sk-lw- sk-or-v1-
sk-poe- sk-proj- sk-sp- sk-svcacct- sk-ws- sk1_ sk_V2_hgu_ sk_car_ sk_dev_ sk_e2b_ sk_hedra_
sk_live_ sk_org_ sk_prod_ sk_test_ sktsec_ slk_ sntrya_ sntryi_ sntryu_ snyk_sat. snyk_uat.
spat_ sq0atp- sq0csp- sqa_ sqp_ squ_ syl_ syr_ syt_ testsk_ tfp_ tgp_v1_ tk-us- tkn.v1_ tlk_
tnt_ tr_dev_ tr_pat_ tr_preview_ tr_prod_ tr_stg_ tsk_ tskey- tvly- twp_ u-s4t2af- u-s4t2ud-
ucat_ vca_ vci_ vck_ vcp_ vcr_ vera01es- vercel_blob_rw_ waka_ wandb_v1_ whsec_ wk-1. wlp_
wlu_ x-api-key- xaat- xai- xait- xapp- xapt- xau_ xkeysib- xoxa- xoxb- xoxc- xoxd- xoxe xoxo-
xoxp- xoxr- xoxs- xsmtpsib- ya29. zpka_ zqt_ zut_ zwt_
"""


@functools.cache
def _prefixes() -> tuple[str, ...]:
    return tuple(_TEXT.split())


def of_issuer(value: str) -> bool:
    """Say whether ``value`` begins as keys of a known issuer do."""
    return value[:_LONGEST].startswith(_prefixes())
