// Validates WorkflowTemplates with the types of @kubernetes-models/argo-workflows.
// Run by run.py: node argo.mjs TOOLS FILE...; prints one line per finding, exits 1 on any.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [tools, ...files] = process.argv.slice(2);
// By path: the package exports nothing under conditions that a resolver from elsewhere meets.
const load = (path) => import(pathToFileURL(`${tools}/npm/node_modules/${path}`));
const { parse } = (await load("yaml/dist/index.js")).default;
const { WorkflowTemplate } = await load(
  "@kubernetes-models/argo-workflows/argoproj.io/v1alpha1/index.js",
);

let findings = 0;
const check = (name, document) => {
  try {
    new WorkflowTemplate(document).validate();
    return true;
  } catch (error) {
    if (name) console.log(`${name}: ${error.message}`);
    return false;
  }
};

// A validator that passes a string for a list proves nothing. These types let unknown keys pass:
// those are the strict schema's business (argo.py).
const mistyped = structuredClone(parse(readFileSync(files[0], "utf8")));
mistyped.spec.templates = "x";
if (check("", mistyped)) {
  console.log("the validator passes a wrong type");
  findings += 1;
}
for (const file of files) {
  if (!check(file, parse(readFileSync(file, "utf8")))) findings += 1;
}
process.exit(findings ? 1 : 0);
