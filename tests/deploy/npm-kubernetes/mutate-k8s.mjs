#!/usr/bin/env node
// mutate-k8s.mjs FILE: renames each field of each object of FILE, one at a time, and gives each a value of a wrong type;
// exit code 1 if validate-k8s.mjs lets one of these pass.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments, stringify } from 'yaml';
const text = readFileSync(process.argv[2], 'utf8');
// Whose keys are names that no schema can know.  A selector that selects nothing is found by other means.
const freeForm = ['labels', 'annotations', 'matchLabels', 'nodeSelector', 'data'];
const isName = (d, p) => freeForm.includes(p.at(-2)) || (d.kind === 'Service' && p.at(-2) === 'selector');
const docs = parseAllDocuments(text).map((d) => d.toJS());
const muts = [];
let n = 0;
for (const d of docs) {
  const paths = [];
  (function rec(v, p) { if (Array.isArray(v)) v.forEach((x, i) => rec(x, [...p, i])); else if (v && typeof v === 'object') for (const k of Object.keys(v)) { paths.push([...p, k]); rec(v[k], [...p, k]); } })(d, []);
  for (const p of paths) for (const mode of ['key', 'type']) {
    if (p.length === 1 && ['apiVersion', 'kind'].includes(p[0])) continue;
    if (p.join('.') === 'metadata' || p.join('.') === 'metadata.name') continue;
    if (mode === 'key' && isName(d, p)) continue;
    const c = structuredClone(d); let o = c; for (const k of p.slice(0, -1)) o = o[k];
    const k = p.at(-1);
    if (mode === 'key') { o[k + 'x'] = o[k]; delete o[k]; } else o[k] = typeof o[k] === 'object' ? 'str' : { bad: [1] };
    c.metadata = { ...(c.metadata ?? {}), name: `m${n++}` };
    muts.push([c, `${mode} ${d.kind} ${p.join('.')}`]);
  }
}
const folder = mkdtempSync(path.join(os.tmpdir(), 'dmcached-mutants.'));
const file = path.join(folder, 'mutants.yaml');
writeFileSync(file, muts.map(([c]) => stringify(c)).join('---\n'));
const r = spawnSync('node', [fileURLToPath(new URL('./validate-k8s.mjs', import.meta.url)), file], { encoding: 'utf8', maxBuffer: 1 << 28 });
rmSync(folder, { recursive: true });
const flagged = new Set([...r.stderr.matchAll(/^FAIL (?:\S+ )?\w+\/(?:[^\/\n]+\/)?(m\d+)[ .:](?!.*(selects no|no ServiceAccount|no ConfigMap|selector does not|targetPort \S+ is no|endpoint port))/gm)].map((m) => m[1]));
let missed = 0;
for (const [c, what] of muts) if (!flagged.has(c.metadata.name)) { missed++; console.log('missed ' + what); }
console.log(`${muts.length} mutants, ${missed} missed`);
process.exitCode = missed || !muts.length ? 1 : 0;
