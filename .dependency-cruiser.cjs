// The five import rules of ARCHITECTURE.md. (1) no cycles (2) decide/ is pure (3) only compose/ imports adapters
// (4) a slice is entered by its index.ts (5) downhill only.
const order = [
  'access', 'projects', 'artifacts', 'tracking', 'traces', 'evaluations', 'registry', 'webhooks', 'imports', 'validation', 'labels', 'planning', 'executions', 'serving',
  'gates', 'promotions', 'rollouts', 'monitoring', 'retraining', 'reproductions', 'provenance', 'lineage', 'forges', 'dialects',
]
const base = '^src/(kernel|math|files|ports|db)/'
const slices = `(${order.join('|')})`

const downhill = order.map((slice, index) => ({
  name: `downhill-${slice}`,
  comment: `Rule 5: ${slice}/ imports only slices above it; news goes up by event.`,
  severity: 'error',
  from: { path: `^src/${slice}/`, pathNot: ['\\.test\\.ts$', '/testing/'] },
  to: { path: `^src/(${[...order.slice(index + 1), 'compose', 'cli', 'adapters', 'demo'].join('|')})/` },
}))

module.exports = {
  forbidden: [
    { name: 'no-cycles', comment: 'Rule 1.', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'decide-is-pure',
      comment: "Rule 2: decide/ imports kernel, math, its slice's words, types from slices above, and other decide/.",
      severity: 'error',
      from: { path: '^src/([^/]+)/decide/', pathNot: '\\.test\\.ts$' },
      to: {
        pathNot: ['^src/(kernel|math)/', '^src/$1/[^/]+\\.ts$', '^src/[^/]+/decide/', '^(node:)?(path|crypto)$', '^node_modules/(zod|yaml|croner|fastest-levenshtein|canonicalize|@lezer/python)/'],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'decide-imports-no-store-or-service-of-its-slice',
      comment: 'Rule 2.',
      severity: 'error',
      from: { path: '^src/([^/]+)/decide/', pathNot: '\\.test\\.ts$' },
      to: { path: '^src/$1/[^/]*(store|service|routes|contract|index)\\.ts$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'only-compose-imports-adapters',
      comment: 'Rule 3.',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/(compose|adapters)/', '\\.test\\.ts$', '/testing/'] },
      to: { path: '^src/adapters/' },
    },
    {
      name: 'slices-are-entered-by-their-door',
      comment: 'Rule 4: index.ts; contracts are open to UI and CLI, and the gateway has a door of its own.',
      severity: 'error',
      from: { path: '^src/([^/]+)/', pathNot: ['\\.test\\.ts$', '/testing/'] },
      to: { path: `^src/${slices}/`, pathNot: ['^src/$1/', `^src/${slices}/index\\.ts$`, '-contract\\.ts$', '^src/serving/(gateway|serve)/index\\.ts$', '^src/dialects/[^/]+/index\\.ts$', '/decide/'] },
    },
    {
      name: 'decide-is-reached-from-outside-only-by-decide',
      comment: 'Rules 2 and 4: what is pure may use what is pure; everything else goes through the door.',
      severity: 'error',
      from: { path: '^src/([^/]+)/', pathNot: ['/decide/', '\\.test\\.ts$', '/testing/'] },
      to: { path: '^src/[^/]+/decide/', pathNot: '^src/$1/' },
    },
    ...downhill,
    {
      name: 'the-base-knows-no-slice',
      comment: 'Rule 5: kernel, math, ports and db lie above all slices.',
      severity: 'error',
      from: { path: base, pathNot: '\\.test\\.ts$' },
      to: { path: `^src/(${order.join('|')}|compose|cli|adapters|demo)/` },
    },
    { name: 'kernel-and-math-do-no-io', severity: 'error', from: { path: '^src/(kernel|math)/', pathNot: '\\.test\\.ts$' }, to: { path: '^(node:)?(fs|net|http|https|child_process|os|sqlite|worker_threads)(/|$)' } },
    { name: 'tests-are-not-imported', severity: 'error', from: { pathNot: '(\\.test\\.ts$|^test/)' }, to: { path: '(\\.test\\.ts$|^test/)' } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.tsx', '.mjs', '.js', '.json'], exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
}
