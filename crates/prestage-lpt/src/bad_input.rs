//! The table of bad inputs: one test per row, named for it, each asserting the code.

use std::collections::BTreeMap;

use serde_json::json;

use crate::definition::resolve;
use crate::driver::driver;
use crate::error::{Error, Result};
use crate::fixture;
use crate::instance::Instance;
use crate::stage::{NeedType, generate_stage_definition};
use crate::template::{Template, TemplateSet};

/// Resolves the fixture's service with the last of `templates` over the shipped ones.
fn resolve_with(templates: &[&str]) -> Result<crate::definition::ApplicationDefinition> {
    let mut set = TemplateSet::builtin();
    let mut name = String::new();
    for text in templates {
        let template = Template::parse("t.yaml", text)?;
        name = template.name().to_owned();
        set.insert(template)?;
    }
    let instance = Instance {
        template: name,
        params: BTreeMap::new(),
        ..fixture::instance()
    };
    resolve(&set, &instance)
}

#[track_caller]
fn check(templates: &[&str], code: &str) -> Error {
    let error = resolve_with(templates).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    error
}

#[track_caller]
fn check_stage(fields: &str, code: &str) -> Error {
    let template = format!("name: x\nextends: service\nstages:\n- {{name: extra, {fields}}}\n");
    check(&[&template], code)
}

#[track_caller]
fn check_params(params: &[(&str, serde_json::Value)], code: &str) -> Error {
    let mut instance = fixture::instance();
    instance.params = params
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    let error = resolve(&TemplateSet::builtin(), &instance).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    error
}

#[track_caller]
fn check_text(text: &str, code: &str) -> Error {
    let error = Template::parse("t.yaml", text).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    error
}

#[test]
fn row_inheritance_cycle_names_the_whole_chain() {
    let error = check(
        &[
            "name: a\nextends: b\n",
            "name: b\nextends: c\n",
            "name: c\nextends: a\n",
        ],
        "E-CYCLE-INHERIT",
    );
    assert!(
        error.to_string().contains("`c` -> `a` -> `b` -> `c`"),
        "{error}"
    );
}

#[test]
fn row_inheritance_deeper_than_sixteen() {
    let mut chain: Vec<String> = vec!["name: t0\nextends: service\n".to_owned()];
    chain.extend((1..18).map(|i| format!("name: t{i}\nextends: t{}\n", i - 1)));
    let chain: Vec<&str> = chain.iter().map(String::as_str).collect();
    check(&chain, "E-DEPTH");
}

#[test]
fn row_unknown_parent_suggests_the_nearest_name() {
    let error = check(&["name: x\nextends: servise\n"], "E-PARENT-UNKNOWN");
    assert!(
        error.to_string().contains("did you mean `service`"),
        "{error}"
    );
}

#[test]
fn row_missing_required_parameters_all_at_once() {
    let text = "name: x\nextends: service\nparameters:\n- {name: p, type: int, required: true}\n\
        - {name: q, type: int, required: true}\n";
    assert_eq!(check(&[text], "E-PARAM-MISSING").problems().len(), 2);
}

#[test]
fn row_unknown_parameter_suggests_the_nearest_name() {
    let error = check_params(&[("imagee", json!("x"))], "E-PARAM-UNKNOWN");
    assert!(
        error.to_string().contains("did you mean `image`"),
        "{error}"
    );
}

#[test]
fn row_wrong_type_is_never_coerced() {
    for (name, value) in [
        ("image", json!(1.1)),
        ("test_shards", json!("2")),
        ("test_shards", json!(65)),
        ("tekton_serialized", json!("no")),
        ("bake", json!("five minutes")),
        ("branch", json!("a b")),
        ("gitlab_tags", json!("a")),
    ] {
        check_params(&[(name, value)], "E-PARAM-TYPE");
    }
    let text = "service: a\ntemplate: service\nregions: [eu]\nparams: {branch: no, image: 0755}\n";
    let instance = Instance::parse("i.yaml", text).unwrap();
    assert_eq!(instance.params["branch"], json!("no"));
    assert_eq!(instance.params["image"], json!("0755"));
}

#[test]
fn row_map_and_secret_ref_parameters() {
    let text = "name: x\nextends: service\nparameters:\n\
        - {name: extra, type: map, default: {LOG_LEVEL: debug}, max_items: 1}\n\
        - {name: token, type: secret_ref, default: DEPLOY_TOKEN}\n\
        stages:\n- {name: build, env_from: '{{ params.extra }}', env: [{name: TOKEN_NAME, value: '{{ params.token }}'}]}\n";
    let definition = resolve_with(&[text]).unwrap();
    assert_eq!(definition.stages[0].env["LOG_LEVEL"], "debug");
    assert_eq!(definition.stages[0].env["TOKEN_NAME"], "DEPLOY_TOKEN");
    check(&[&text.replace("DEPLOY_TOKEN", "hunter2")], "E-PARAM-SPEC");
    check(
        &[&text.replace("LOG_LEVEL: debug", "A: b, C: d")],
        "E-PARAM-SPEC",
    );
    check(&[&text.replace("LOG_LEVEL", "path")], "E-STAGE-FIELD");
}

#[test]
fn row_override_of_a_sealed_path_names_the_sealing_template() {
    let base = "name: base\nextends: service\npolicy:\n- {path: '/stages/[name=build]/script', rule: sealed}\n\
        - {path: '/stages/[name=test]', rule: extend-only}\n";
    let child = "name: child\nextends: base\nstages:\n- {name: build, script: [x]}\n";
    let error = check(&[base, child], "E-SEALED");
    assert!(
        error.to_string().contains("template `base` made sealed"),
        "{error}"
    );
    check(
        &[
            base,
            "name: child\nextends: base\nstages:\n- {name: test, shards: 5}\n",
        ],
        "E-SEALED",
    );
    let extends = "name: child\nextends: base\nstages:\n- {name: test, env: [{name: MORE, value: x}]}\n\
        - {name: build, env: [{name: MORE, value: x}]}\n";
    resolve_with(&[base, extends]).unwrap();
    let mut set = TemplateSet::builtin();
    set.insert(Template::parse("t.yaml", base).unwrap())
        .unwrap();
    let mut instance = fixture::instance();
    instance.template = "base".to_owned();
    instance.overrides.stages = vec![json!({"name": "build", "script": ["x"]})];
    let error = resolve(&set, &instance).unwrap_err();
    assert_eq!(error.code(), "E-SEALED");
    instance.overrides.stages = vec![json!({"name": "build", "retry": 1})];
    assert_eq!(resolve(&set, &instance).unwrap().stages[0].retry, 1);
}

#[test]
fn row_undefined_variable_in_an_expression() {
    check_stage(
        "script: [x], image: '{{ params.nope }}'",
        "E-EXPR-UNDEFINED",
    );
}

#[test]
fn row_expression_that_grows_or_loops() {
    check_stage(
        "script: [x], image: \"{{ 'ab' * 9999999 }}\"",
        "E-EXPR-FUEL",
    );
    check_stage(
        "script: [x], image: '{{ [[1]*9999]*9999 }}'",
        "E-EXPR-FORBIDDEN",
    );
    check_stage(
        "script: [x], image: '{% for a in range(9999) %}x{% endfor %}'",
        "E-EXPR-FORBIDDEN",
    );
    check_stage(
        &format!("script: [x], image: '{{{{ 1 }}}}{}'", "x".repeat(3_000)),
        "E-EXPR-SIZE",
    );
}

#[test]
fn row_macro_and_include_are_not_in_the_language() {
    check_stage(
        "script: [x], image: '{% macro m() %}{{ m() }}{% endmacro %}'",
        "E-EXPR-FORBIDDEN",
    );
    check_stage(
        "script: [x], image: \"{% include 'x' %}\"",
        "E-EXPR-FORBIDDEN",
    );
}

#[test]
fn row_path_traversal() {
    for parent in ["../x", "/etc/passwd", "a\\\\b", "./x", "C:x", "a/../b"] {
        check_text(&format!("name: x\nextends: \"{parent}\"\n"), "E-PATH");
    }
    check_text("name: x\nextends: \"a\\0b\"\n", "E-PATH");
    let mut instance = fixture::instance();
    for service in ["../x", "/x", "a\\b", "a\0b", "con/x"] {
        instance.service = service.to_owned();
        let error = resolve(&TemplateSet::builtin(), &instance).unwrap_err();
        assert_eq!(error.code(), "E-NAME");
    }
}

#[test]
fn row_remote_include() {
    check_text("name: x\nextends: https://example.com/t.yaml\n", "E-REMOTE");
    check_text("name: x\nextends: git@example.com:t.git\n", "E-REMOTE");
}

#[test]
fn row_alias_bomb_is_refused_before_it_expands() {
    let mut bomb = "name: x\na: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (name, inner) in ["b", "c", "d", "e", "f", "g"].iter().zip("abcdef".chars()) {
        let items = vec![format!("*{inner}"); 9].join(",");
        bomb.push_str(&format!("{name}: &{name} [{items}]\n"));
    }
    check_text(&bomb, "E-YAML-BUDGET");
    // Files of people may use aliases, but a bomb ends there too.
    let file = crate::driver::OutputFile {
        path: "f".to_owned(),
        bytes: bomb.into_bytes(),
    };
    for name in ["gitlab", "github", "argo", "tekton", "json"] {
        let error = driver(name)
            .unwrap()
            .analyze(std::slice::from_ref(&file))
            .unwrap_err();
        assert_eq!(error.code(), "E-LIVE-PARSE");
    }
}

#[test]
fn row_deep_nesting() {
    check_text(
        &format!("name: {}{}", "[".repeat(80), "]".repeat(80)),
        "E-YAML-DEPTH",
    );
}

#[test]
fn row_too_large() {
    check_text(&format!("name: {}", "x".repeat(1 << 20)), "E-SIZE");
    check_text(&format!("name: [{}]", "1,".repeat(20_000)), "E-YAML-BUDGET");
}

#[test]
fn row_duplicate_mapping_key() {
    check_text("name: x\nname: y\n", "E-YAML-DUPKEY");
}

#[test]
fn row_yaml_features_without_a_meaning_here() {
    for text in [
        "name: !custom x\n",
        "name: x\nstages: {<<: {a: 1}}\n",
        "name: x\n---\nname: y\n",
        "name: ~\n",
    ] {
        check_text(text, "E-YAML-FEATURE");
    }
    let error = Template::parse_bytes("t.yaml", b"name: \xff\n").unwrap_err();
    assert_eq!(error.code(), "E-YAML-FEATURE");
    let utf_16 = Template::parse_bytes("t.yaml", b"\xff\xfen\0a\0").unwrap_err();
    assert_eq!(utf_16.code(), "E-YAML-FEATURE");
}

#[test]
fn row_duplicate_stage_name_after_folding() {
    let text = "name: x\nextends: service\nstages:\n- {name: deploy-eu-west-1, script: [x]}\n";
    check(&[text], "E-STAGE-DUP");
}

#[test]
fn row_name_that_a_target_refuses() {
    let text = "name: x\nextends: service\nstages:\n- {name: pages, script: [x]}\n";
    let definition = resolve_with(&[text]).unwrap();
    let revision = definition.revision();
    let assembly = crate::assembly::Assembly {
        definition: &definition,
        revision: &revision,
        staged: Vec::new(),
    };
    let error = driver("gitlab").unwrap().emit(&assembly).unwrap_err();
    assert_eq!(error.code(), "E-NAME-TARGET");
    let long = format!(
        "name: x\nextends: service\nstages:\n- {{name: {}, script: [x]}}\n",
        "a".repeat(64)
    );
    check(&[&long], "E-NAME");
}

#[test]
fn row_stage_cycle_is_the_shortest() {
    check_stage("needs: [extra], script: [x]", "E-DAG-CYCLE");
}

#[test]
fn row_edge_to_unknown_stage() {
    check_stage("needs: [biuld], script: [x]", "E-DAG-UNKNOWN");
}

#[test]
fn row_orphan_stage_is_found_by_the_rules() {
    let text = "name: x\nextends: service\nstages:\n- {name: extra, script: [x]}\n";
    let definition = resolve_with(&[text]).unwrap();
    let orphan = crate::rules::check_rules(&definition.stages)
        .into_iter()
        .find(|finding| finding.rule == "reachable" && finding.path.contains("extra"))
        .unwrap();
    assert!(matches!(orphan.verdict, crate::rules::Verdict::Fail { .. }));
}

#[test]
fn row_fan_out_shows_the_product() {
    let mut instance = fixture::instance();
    instance.regions = (0..200).map(|i| format!("r{i}")).collect();
    let error = resolve(&TemplateSet::builtin(), &instance).unwrap_err();
    assert_eq!(error.code(), "E-FANOUT");
    assert!(error.to_string().contains("200 regions"), "{error}");
}

#[test]
fn row_secret_looking_literal_is_not_printed() {
    let error = check_params(&[("image", json!("ghp_0123456789abcdef"))], "E-SECRET");
    assert!(!error.to_string().contains("0123456789"));
}

#[test]
fn row_parameter_spliced_into_a_script() {
    check_text(
        "name: x\nstages:\n- {name: a, script: ['echo {{ params.x }}']}\n",
        "E-SCRIPT-SPLICE",
    );
    let mut instance = fixture::instance();
    instance.overrides.stages =
        vec![json!({"name": "build", "script": ["echo {{ params.branch }}"]})];
    let error = resolve(&TemplateSet::builtin(), &instance).unwrap_err();
    assert_eq!(error.code(), "E-SCRIPT-SPLICE");
}

#[test]
fn row_target_cannot_express_a_feature() {
    let definition = fixture::definition();
    let revision = definition.revision();
    let assembly = crate::assembly::Assembly {
        definition: &definition,
        revision: &revision,
        staged: Vec::new(),
    };
    let error = driver("tekton").unwrap().emit(&assembly).unwrap_err();
    assert_eq!(error.code(), "E-TARGET-UNSUPPORTED");
    assert!(
        error
            .to_string()
            .contains("/stages/[name=deploy-eu-west-1]/exclusive"),
        "{error}"
    );
}

#[test]
fn row_duplicate_need_is_the_same_stage() {
    let need = fixture::need(NeedType::Scaling);
    let definition = fixture::definition();
    let first = generate_stage_definition(&definition, &need).unwrap();
    let again = generate_stage_definition(&definition, &need).unwrap();
    assert_eq!(first.key, again.key);
}

#[test]
fn row_live_file_that_is_no_pipeline() {
    let file = |text: &str| crate::driver::OutputFile {
        path: "f".to_owned(),
        bytes: text.as_bytes().to_vec(),
    };
    for name in ["gitlab", "github", "argo", "tekton", "json"] {
        for text in ["a: [", "[]", "", "x: 1\n"] {
            let error = driver(name).unwrap().analyze(&[file(text)]).unwrap_err();
            assert_eq!(error.code(), "E-LIVE-PARSE", "{name}: {text}");
        }
    }
}

#[test]
fn row_invalid_need() {
    let mut need = fixture::need(NeedType::Scaling);
    need.window_s = 0;
    need.window_start = -1;
    let error = generate_stage_definition(&fixture::definition(), &need).unwrap_err();
    assert_eq!(error.problems().len(), 2);
    assert_eq!(error.code(), "E-NEED-INVALID");
}

#[test]
fn problems_stop_at_fifty() {
    let stages: String = (0..80)
        .map(|i| format!("- {{name: s{i}, script: []}}\n"))
        .collect();
    let error = check(
        &[&format!("name: x\nextends: service\nstages:\n{stages}")],
        "E-STAGE-FIELD",
    );
    assert_eq!(error.problems().len(), 50);
}

#[test]
fn l01_one_template_gives_several_stages() {
    assert!(fixture::definition().stages.len() >= 3);
}

#[test]
fn l02_a_chain_of_three_resolves() {
    let definition = resolve_with(&["name: x\nextends: progressive\n"]).unwrap();
    let deploy = definition
        .stages
        .iter()
        .find(|stage| stage.name == "deploy-us-east-1")
        .unwrap();
    assert_eq!(deploy.needs, ["canary-us-east-1"]);
    let canary = definition
        .stages
        .iter()
        .find(|stage| stage.name == "canary-us-east-1")
        .unwrap();
    assert_eq!(canary.needs, ["test", "verify-eu-west-1"]);
}

#[test]
fn l03_parameters_are_typed_required_defaulted_and_constrained() {
    let text = "name: x\nextends: service\nparameters:\n\
        - {name: admin_contact, type: string, required: true, max_length: 60, allowed_chars: 'a-z0-9@.-'}\n\
        - {name: run_as_user, type: string, default: deployer, max_length: 32, allowed_chars: 'a-z'}\n";
    check(&[text], "E-PARAM-MISSING");
    let mut set = TemplateSet::builtin();
    set.insert(Template::parse("t.yaml", text).unwrap())
        .unwrap();
    let mut instance = fixture::instance();
    instance.template = "x".to_owned();
    instance
        .params
        .insert("admin_contact".to_owned(), json!("team@example.com"));
    let definition = resolve(&set, &instance).unwrap();
    assert_eq!(definition.parameters["run_as_user"].value, "deployer");
    instance
        .params
        .insert("admin_contact".to_owned(), json!("Team!"));
    assert_eq!(resolve(&set, &instance).unwrap_err().code(), "E-PARAM-TYPE");
}

#[test]
fn l04_a_definition_is_complete_and_reads_back_with_the_same_hash() {
    let definition = fixture::definition();
    let again =
        crate::definition::ApplicationDefinition::parse("d.json", &definition.to_json()).unwrap();
    assert_eq!(again.revision(), definition.revision());
}

#[test]
fn l16_a_stage_waits_for_the_gate_on_metrics_before_it() {
    let definition = fixture::definition();
    let canary = fixture::stage(NeedType::FeatureRelease);
    let of = |group: &str, region: &str| {
        let mut stages = canary.stages.iter();
        stages
            .find(|stage| stage.group == group && stage.region.as_deref() == Some(region))
            .unwrap()
    };
    for region in &definition.regions {
        let (analyze, promote) = (of("analyze", region), of("promote", region));
        assert!(analyze.env.contains_key("ERROR_RATIO_MAX"));
        assert!(
            promote.needs.contains(&analyze.name),
            "promotion does not wait for the gate"
        );
        assert_eq!(promote.when, crate::definition::When::OnSuccess);
        assert!(
            promote
                .gates
                .iter()
                .any(|gate| gate == &format!("deploy-{region}"))
        );
    }
}
