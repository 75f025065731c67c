#!/usr/bin/env node
// policy-k8s.mjs FILE: what no schema says and this project promises about its DaemonSet, in every overlay.
import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';
const docs = parseAllDocuments(readFileSync(process.argv[2], 'utf8')).map((d) => d.toJS());
const workload = docs.find((d) => d.kind === 'DaemonSet');
const pod = workload.spec.template.spec;
const daemon = pod.containers[0];
const problems = [];
function expect(holds, claim) { if (!holds) problems.push(claim); }

expect(pod.containers.length === 1, 'one container');
expect(workload.spec.updateStrategy.rollingUpdate.maxUnavailable === 1, 'one node at a time');
expect(pod.automountServiceAccountToken === false, 'no token');
expect(pod.terminationGracePeriodSeconds >= 60, 'time for a clean close');
for (const c of [daemon, ...pod.initContainers]) {
  expect(c.securityContext.readOnlyRootFilesystem === true, `${c.name}: read-only root file system`);
  expect(c.resources.limits.memory && c.resources.requests.memory, `${c.name}: memory requested and limited`);
  if (!c.securityContext.privileged) {
    expect(c.securityContext.allowPrivilegeEscalation === false, `${c.name}: no privilege escalation`);
    expect(c.securityContext.capabilities.drop.join() === 'ALL', `${c.name}: every capability dropped`);
  }
}
if (daemon.securityContext.privileged) {
  // The API server refuses these beside `privileged`, or the runtime ignores them: the command has to do it.
  expect(daemon.securityContext.allowPrivilegeEscalation !== false, 'privileged admits no allowPrivilegeEscalation: false');
  expect(daemon.command.includes('--bounding-set=-all') && daemon.command.includes('--no-new-privs'),
    'a privileged container gives its capabilities up');
} else expect(pod.securityContext.runAsNonRoot === true && pod.securityContext.runAsUser === 10110, 'user 10110');
expect(daemon.livenessProbe.exec.command.slice(0, 2).join(' ') === 'dmcachectl health', 'liveness asks the daemon');
expect(daemon.readinessProbe.exec.command.join(' ').includes('--service dmcached.v1.CacheService'), 'readiness asks the service');
// A changed configuration must change the template, or it would not roll out.
const config = pod.volumes.find((v) => v.name === 'config').configMap.name;
expect(/^dmcached-config-[a-z0-9]{10}$/.test(config), 'the name of the ConfigMap ends in its hash');
expect(JSON.parse(docs.find((d) => d.kind === 'ConfigMap').data['config.json']).metrics, 'config.json is JSON and serves metrics');

for (const p of problems) console.error('FAIL ' + p);
process.exitCode = problems.length ? 1 : 0;
