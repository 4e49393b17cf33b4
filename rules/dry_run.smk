"""What has to be up to date before a dry run is exact: `make plan` brings it there first."""


rule plans:
    input:
        manifests() + fold_plans(),


# alone, with `--allowed-rules check_corpus check_recipe admit_recipe checks`: no base is trained for a plan
rule checks:
    input:
        lambda wc: made_checks(),
