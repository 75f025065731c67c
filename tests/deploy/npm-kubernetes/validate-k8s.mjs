#!/usr/bin/env node
// validate-k8s.mjs FILE...: strict validation of Kubernetes manifests, without a cluster.  `npm ci` first.
// (1) The compiled OpenAPI validators of the packages kubernetes-models and @kubernetes-models/prometheus-operator: types,
// formats, enums, required fields.  (2) Their type declarations, walked with the TypeScript compiler: a field that no type
// declares is an error; the validators of (1) let it pass.  (3) References between the objects.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseAllDocuments } from 'yaml';
const require = createRequire(import.meta.url);
const ts = require('typescript');
const here = path.dirname(fileURLToPath(import.meta.url));
const modules = path.join(here, 'node_modules');

const args = process.argv.slice(2);
if (!args.length) { console.error('usage: validate-k8s.mjs FILE...'); process.exit(2); }
const problems = [];
const docs = [];
function load(text, from) {
  for (const d of parseAllDocuments(text, { uniqueKeys: true, strict: true })) {
    for (const e of [...d.errors, ...d.warnings]) problems.push(`${from}: ${e.message.split('\n')[0]}`);
    const v = d.toJS();
    if (v == null) continue;
    if (v.kind === 'List' && Array.isArray(v.items)) for (const i of v.items) docs.push(i); else docs.push(v);
  }
}
for (const a of args) load(readFileSync(a, 'utf8'), a);

const name = (d) => `${d.kind}/${d.metadata?.namespace ? d.metadata.namespace + '/' : ''}${d.metadata?.name ?? '?'}`;
function modulePath(d) {
  const [g, v] = d.apiVersion.includes('/') ? d.apiVersion.split('/') : ['', d.apiVersion];
  const base = g === 'monitoring.coreos.com' ? path.join(modules, '@kubernetes-models/prometheus-operator', g) : path.join(modules, 'kubernetes-models', g);
  return path.join(base, v, d.kind);
}
const wanted = new Map();
for (const d of docs) {
  if (typeof d.apiVersion !== 'string' || typeof d.kind !== 'string') { problems.push(`${name(d)}: no apiVersion or kind`); continue; }
  const p = modulePath(d);
  if (!existsSync(p + '.d.ts')) { problems.push(`${name(d)}: no schema for ${d.apiVersion} ${d.kind}`); continue; }
  wanted.set(p, d.kind);
}

// (1)
for (const d of docs) {
  const p = modulePath(d);
  if (!wanted.has(p)) continue;
  const m = await import(pathToFileURL(p + '.js'));
  const src = readFileSync(p + '.js', 'utf8').match(/["']([^"']*_schemas\/[^"']+)["']/)[1];
  const { validate } = await import(pathToFileURL(path.resolve(path.dirname(p), src)));
  if (!validate(d)) for (const e of validate.errors) if (e.keyword !== 'oneOf') problems.push(`${name(d)} ${e.instancePath || '/'}: ${e.message ?? e.keyword} ${JSON.stringify(e.params)}`);
  if (!m[d.kind]) problems.push(`${name(d)}: no class`);
}

// (2)
const program = ts.createProgram([...wanted.keys()].map((p) => p + '.d.ts'), {
  module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, target: ts.ScriptTarget.ES2022,
  strict: true, skipLibCheck: true, noEmit: true, types: [], exactOptionalPropertyTypes: false });
const checker = program.getTypeChecker();
let seen = 0;
function walk(type, value, where) {
  if (value === null || typeof value !== 'object') return;
  const parts = (type.isUnion() ? type.types : [type]).filter((t) => t.flags & ts.TypeFlags.Object || t.flags & ts.TypeFlags.Any || t.flags & ts.TypeFlags.Unknown || t.isIntersection());
  if (parts.some((t) => t.flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown))) return;
  if (Array.isArray(value)) {
    const arr = parts.find((t) => checker.isArrayType(t));
    if (!arr) { problems.push(`${where}: a list where none belongs`); return; }
    const el = checker.getTypeArguments(arr)[0];
    value.forEach((v, i) => walk(el, v, `${where}[${i}]`));
    return;
  }
  const objs = parts.filter((t) => !checker.isArrayType(t));
  if (!objs.length) { problems.push(`${where}: a map where none belongs`); return; }
  for (const [k, v] of Object.entries(value)) {
    seen++;
    let found = null;
    for (const t of objs) {
      const s = checker.getPropertyOfType(t, k);
      if (s) { found = checker.getTypeOfSymbol(s); break; }
      const idx = checker.getIndexInfoOfType(t, ts.IndexKind.String);
      if (idx) { found = idx.type; break; }
      if (!checker.getPropertiesOfType(t).length) { found = checker.getAnyType(); break; } // free-form object
    }
    if (!found) problems.push(`${where}.${k}: unknown field (known: ${near(k, objs)})`);
    else walk(found, v, `${where}.${k}`);
  }
}
function near(k, objs) {
  const all = objs.flatMap((t) => checker.getPropertiesOfType(t).map((s) => s.name));
  return all.map((n) => [dist(k.toLowerCase(), n.toLowerCase()), n]).sort((a, b) => a[0] - b[0]).slice(0, 3).map((x) => x[1]).join(', ');
}
function dist(a, b) {
  const r = [...Array(b.length + 1).keys()];
  for (let i = 1; i <= a.length; i++) { let p = r[0]; r[0] = i; for (let j = 1; j <= b.length; j++) { const t = r[j]; r[j] = Math.min(r[j] + 1, r[j - 1] + 1, p + (a[i - 1] === b[j - 1] ? 0 : 1)); p = t; } }
  return r[b.length];
}
for (const d of docs) {
  const p = modulePath(d);
  if (!wanted.has(p)) continue;
  const sf = program.getSourceFile(p + '.d.ts');
  const iface = sf.statements.find((s) => ts.isInterfaceDeclaration(s) && s.name.text === 'I' + d.kind);
  walk(checker.getTypeAtLocation(iface), d, name(d));
}

// Resources are a free-form map to a schema; a misspelt one is never granted.
for (const d of docs) {
  const pod = d.kind === 'Pod' ? d.spec : d.spec?.template?.spec;
  for (const list of [pod?.containers, pod?.initContainers]) for (const c of Array.isArray(list) ? list : []) {
    for (const part of ['requests', 'limits']) for (const k of Object.keys(Object(c?.resources?.[part]))) {
      if (!/^(cpu|memory|ephemeral-storage|hugepages-.+|[^/]+\.[^/]+\/.+)$/.test(k)) problems.push(`${name(d)}: container ${c.name} resources.${part}.${k}: no such resource`);
    }
  }
}

// (3), only for objects that (1) and (2) find sound
if (!problems.length) crossCheck();
function crossCheck() {
const of = (k) => docs.filter((d) => d.kind === k);
const tmpl = (d) => d.kind === 'Pod' ? d : d.spec?.template;
const workloads = docs.filter((d) => ['DaemonSet', 'Deployment', 'StatefulSet', 'Job', 'Pod'].includes(d.kind));
const matches = (sel, labels) => Object.entries(sel?.matchLabels ?? {}).every(([k, v]) => labels?.[k] === v);
const sameNs = (a, b) => (a.metadata?.namespace ?? '') === (b.metadata?.namespace ?? '');
for (const w of workloads) {
  const t = tmpl(w), all = [...(t?.spec?.containers ?? []), ...(t?.spec?.initContainers ?? [])];
  if (w.spec?.selector && !matches(w.spec.selector, t?.metadata?.labels)) problems.push(`${name(w)}: spec.selector does not match the template's labels`);
  const vols = new Set((t?.spec?.volumes ?? []).map((v) => v.name));
  for (const c of all) for (const m of c.volumeMounts ?? []) if (!vols.has(m.name)) problems.push(`${name(w)}: container ${c.name} mounts volume ${m.name}, which is not there`);
  for (const v of t?.spec?.volumes ?? []) if (!all.some((c) => (c.volumeMounts ?? []).some((m) => m.name === v.name))) problems.push(`${name(w)}: volume ${v.name} is mounted nowhere`);
  const sa = t?.spec?.serviceAccountName;
  if (sa && sa !== 'default' && !of('ServiceAccount').some((s) => s.metadata.name === sa)) problems.push(`${name(w)}: no ServiceAccount ${sa}`);
  const refs = [...all.flatMap((c) => [...(c.envFrom ?? []).map((e) => ['ConfigMap', e.configMapRef]), ...(c.env ?? []).map((e) => ['ConfigMap', e.valueFrom?.configMapKeyRef])]), ...(t?.spec?.volumes ?? []).map((v) => ['ConfigMap', v.configMap])];
  for (const [k, r] of refs) if (r?.name && !r.optional && !of(k).some((o) => o.metadata.name === r.name)) problems.push(`${name(w)}: no ${k} ${r.name}`);
}
for (const s of of('Service')) {
  const sel = s.spec?.selector; if (!sel) continue;
  const hit = workloads.filter((w) => sameNs(w, s) && matches({ matchLabels: sel }, tmpl(w)?.metadata?.labels));
  if (!hit.length) problems.push(`${name(s)}: selects no workload`);
  for (const p of s.spec.ports ?? []) if (typeof p.targetPort === 'string' && !hit.some((w) => tmpl(w).spec.containers.some((c) => (c.ports ?? []).some((q) => q.name === p.targetPort)))) problems.push(`${name(s)}: targetPort ${p.targetPort} is no container's`);
}
for (const m of of('ServiceMonitor')) {
  const hit = of('Service').filter((s) => matches(m.spec?.selector, s.metadata?.labels));
  if (!hit.length) problems.push(`${name(m)}: selects no Service`);
  for (const e of m.spec?.endpoints ?? []) if (e.port && !hit.some((s) => s.spec.ports.some((p) => p.name === e.port))) problems.push(`${name(m)}: endpoint port ${e.port} is no Service's`);
}
for (const k of ['PodDisruptionBudget', 'NetworkPolicy']) for (const o of of(k)) {
  const sel = o.spec?.selector ?? o.spec?.podSelector;
  if (sel?.matchLabels && !workloads.some((w) => sameNs(w, o) && matches(sel, tmpl(w)?.metadata?.labels))) problems.push(`${name(o)}: selects no workload`);
}
const dup = new Map();
for (const d of docs) { const k = `${d.apiVersion} ${name(d)}`; if (dup.has(k)) problems.push(`${k}: twice`); dup.set(k, 1); }
}

for (const p of problems) console.error('FAIL ' + p);
console.log(`${docs.length} objects, ${seen} fields, ${problems.length} problems`);
process.exitCode = problems.length || !docs.length ? 1 : 0;
