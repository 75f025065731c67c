#!/usr/bin/env node
// validate-dashboard FILE.json...: checks Grafana dashboards (classic JSON) against the type declarations of the npm
// package @grafana/schema: unknown fields, wrong types and enums, for the dashboard, its panels, and the options and
// field configuration of each panel type; then what the types do not say (grid, ids, data sources, units).
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
const ts = createRequire(import.meta.url)('typescript');
const root = path.join(path.dirname(fileURLToPath(import.meta.url)), 'node_modules/@grafana/schema/dist/types');
const main = path.join(root, 'raw/dashboard/x/types.gen.d.ts');
const cfg = (type) => path.join(root, `raw/composable/${type}/panelcfg/x/types.gen.d.ts`);
const boards = process.argv.slice(2).map((f) => [f, JSON.parse(readFileSync(f, 'utf8'))]);
const flat = (l) => (l ?? []).flatMap((p) => [p, ...flat(p.panels)]);
const kinds = [...new Set(boards.flatMap(([, d]) => flat(d.panels).map((p) => p.type)))].filter((t) => existsSync(cfg(t)));
const program = ts.createProgram([main, ...kinds.map(cfg)], { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, target: ts.ScriptTarget.ES2022, strict: true, skipLibCheck: true, types: [] });
const ck = program.getTypeChecker();
const typeOf = (file, name) => { const s = program.getSourceFile(file)?.statements.find((x) => (ts.isInterfaceDeclaration(x) || ts.isTypeAliasDeclaration(x)) && x.name.text === name); return s && ck.getTypeAtLocation(s); };
let problems = 0, seen = 0;
const fail = (s) => { problems++; console.error('FAIL ' + s); };
const F = ts.TypeFlags;
// In every dashboard that Grafana saves or exports, but not in its schema.
const known = new Set(['definition', '__inputs', '__elements', '__requires', 'iteration']);
function walk(type, v, where) {
  const parts = type.isUnion() ? type.types : [type];
  if (parts.some((t) => t.flags & (F.Any | F.Unknown))) return;
  if (v === null) { if (!parts.some((t) => t.flags & F.Null)) fail(`${where}: null`); return; }
  if (typeof v !== 'object') {
    seen++;
    const ok = parts.some((t) => t.flags & F.Literal ? (t.flags & F.BooleanLiteral ? typeof v === 'boolean' : t.value === v) || (t.flags & F.BooleanLiteral && ck.typeToString(t) === String(v))
      : t.flags & F.StringLike ? typeof v === 'string' : t.flags & F.NumberLike ? typeof v === 'number' : t.flags & F.BooleanLike ? typeof v === 'boolean' : false);
    if (!ok) fail(`${where}: ${JSON.stringify(v)} is not ${ck.typeToString(type)}`);
    return;
  }
  if (Array.isArray(v)) { const a = parts.find((t) => ck.isArrayType(t)); if (!a) return fail(`${where}: a list where ${ck.typeToString(type)} belongs`); v.forEach((x, i) => walk(ck.getTypeArguments(a)[0], x, `${where}[${i}]`)); return; }
  let objs = parts.filter((t) => !ck.isArrayType(t) && (t.flags & F.Object || t.isIntersection()));
  if (!objs.length) return fail(`${where}: an object where ${ck.typeToString(type)} belongs`);
  for (const disc of ['type', 'kind']) if (objs.length > 1 && typeof v[disc] === 'string') { // a union told apart by a literal field
    const hit = objs.filter((t) => { const p = ck.getPropertyOfType(t, disc); if (!p) return false; const pt = ck.getTypeOfSymbol(p); return (pt.isUnion() ? pt.types : [pt]).some((x) => x.value === v[disc]); });
    const rest = objs.filter((t) => { const p = ck.getPropertyOfType(t, disc); return p && ck.getTypeOfSymbol(p).flags & F.String; });
    if (hit.length) objs = hit; else if (rest.length) objs = rest;
  }
  for (const [k, x] of Object.entries(v)) {
    seen++;
    let found = null;
    for (const t of objs) { const s = ck.getPropertyOfType(t, k), i = ck.getIndexInfoOfType(t, ts.IndexKind.String); if (s) { found = ck.getTypeOfSymbol(s); break; } if (i) { found = i.type; break; } if (!ck.getPropertiesOfType(t).length) return; }
    if (!found) { if (!known.has(k)) fail(`${where}.${k}: unknown field`); } else if (x !== undefined) walk(found, x, `${where}.${k}`);
  }
  for (const s of objs.length === 1 ? ck.getPropertiesOfType(objs[0]) : []) if (!(s.flags & ts.SymbolFlags.Optional) && !(s.name in v)) fail(`${where}: no ${s.name}`);
}
for (const [f, d] of boards) {
  const b = path.basename(f);
  walk(typeOf(main, 'Dashboard'), d, b);
  const dsVars = new Set((d.templating?.list ?? []).filter((v) => v.type === 'datasource').map((v) => v.name));
  const cells = new Map(), ids = new Set();
  for (const p of flat(d.panels)) {
    const where = `${b} panel ${p.id} "${p.title ?? ''}"`;
    if (ids.has(p.id)) fail(`${where}: id twice`); ids.add(p.id);
    if (p.type === 'row') continue;
    if (!kinds.includes(p.type)) fail(`${where}: panel type ${p.type} is not known to @grafana/schema`);
    else {
      const o = typeOf(cfg(p.type), 'Options'), c = typeOf(cfg(p.type), 'FieldConfig');
      if (p.options && o) { const before = problems; walkPartial(o, p.options, `${where}.options`); void before; }
      if (p.fieldConfig?.defaults?.custom && c) walkPartial(c, p.fieldConfig.defaults.custom, `${where}.fieldConfig.defaults.custom`);
    }
    const g = p.gridPos;
    if (!g) fail(`${where}: no gridPos`); else {
      if (g.x + g.w > 24 || g.x < 0 || g.w < 1 || g.h < 1) fail(`${where}: gridPos out of the 24 columns`);
      for (let x = g.x; x < g.x + g.w; x++) for (let y = g.y; y < g.y + g.h; y++) { const k = `${x},${y}`; if (cells.has(k)) { fail(`${where}: overlaps panel ${cells.get(k)}`); x = 99; break; } cells.set(k, p.id); }
    }
    const uid = p.datasource?.uid ?? p.targets?.[0]?.datasource?.uid;
    if (p.type !== 'text' && !uid) fail(`${where}: no data source`);
    else if (uid && !(/^\$\{?(\w+)\}?$/.test(uid) && dsVars.has(uid.match(/\w+/)[0])) && !uid.startsWith('-- ')) fail(`${where}: data source ${uid} is fixed: it will be missing elsewhere`);
    if (p.type !== 'text' && !p.fieldConfig?.defaults?.unit) fail(`${where}: no unit`);
    if (p.type !== 'text' && !p.description) fail(`${where}: no description`);
  }
}
// Options need only hold what differs from the defaults.
function walkPartial(type, v, where) {
  for (const [k, x] of Object.entries(v)) { const s = ck.getPropertyOfType(type, k); seen++; if (!s) fail(`${where}.${k}: unknown field`); else walk(ck.getTypeOfSymbol(s), x, `${where}.${k}`); }
}
console.log(`${boards.length} dashboards, ${seen} fields, ${problems} problems`);
process.exitCode = problems ? 1 : 0;
