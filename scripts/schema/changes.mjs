// Prints the changes of the GraphQL schema since the last release, and fails on a breaking one that the changelog does
// not name: node changes.mjs [RELEASED CURRENT CHANGELOG]
import { readFile } from "node:fs/promises";
import { CriticalityLevel, DiffRule, diff } from "@graphql-inspector/core";
import { buildSchema } from "graphql";

const files = process.argv.slice(2);
const [released, current, changelog] = await Promise.all(
  ["released.graphql", "../../schema.graphql", "../../CHANGELOG.md"].map((name, i) =>
    readFile(files[i] ?? new URL(name, import.meta.url), "utf8"),
  ),
);

// What is breaking has to be under one of these headings of the section "Unreleased", by its path in backquotes.
const unreleased = changelog.split(/^## /m).find((section) => section.startsWith("Unreleased")) ?? "";
const announced = unreleased.split(/^### /m).filter((section) => /^(Changed|Removed)/.test(section)).join();

const all = await diff(buildSchema(released), buildSchema(current), [DiffRule.ignoreDescriptionChanges]);
// A deprecation is reported by itself, and as a use of its directive.
const changes = all.filter(({ type }) => !type.startsWith("DIRECTIVE_USAGE"));
const isBreaking = ({ criticality }) => criticality.level === CriticalityLevel.Breaking;
const missing = changes.filter((change) => isBreaking(change) && !announced.includes(`\`${change.path}\``));

console.log(`${changes.length} changes of the schema since the last release`);
for (const { criticality, message } of changes) {
  console.log(`${criticality.level.toLowerCase().replace("_", "-")}: ${message}`);
}
for (const { path, message } of missing) {
  console.error(`breaking, and not in CHANGELOG.md under "Unreleased", "Changed" or "Removed", as \`${path}\`: ${message}`);
}
process.exitCode = missing.length === 0 ? 0 : 1;
