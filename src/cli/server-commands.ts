import { type Declare, groups } from './declare.ts'
import type { GcOptions } from './gc.ts'
import type { EraseOptions } from './predictions.ts'
import type { ServeFlags } from './serve.ts'

/** The server and its machine: what is kept there, and who may do what. */
export async function serverCommands(declare: Declare): Promise<void> {
  const { command, act } = declare

  const logged = command('run', 'predictions', 'what the log of predictions keeps of people', [
    'modelwright predictions erase --subject patient-4711',
    'modelwright predictions erase --subject 4711 --column patient_id --environment production',
    'modelwright predictions erasures',
  ])
  logged
    .command('erase')
    .description("remove a person's rows from the log: those whose key, declared subject or named column is the value")
    .requiredOption('--subject <key>', 'the value that names the person; it is written down nowhere, only its hash')
    .option('--environment <name>', 'only of this one; else of all of the project')
    .option('--column <name>', 'a column of the inputs that may name the person too')
    .action(act(async (context, options: EraseOptions) => (await import('./predictions.ts')).erase(context, options)))
  logged
    .command('erasures')
    .description('list what was removed, and whether all of it is gone')
    .action(act(async (context) => (await import('./predictions.ts')).erasures(context)))

  await processes(declare)

  command('run', 'serve [model]', 'serve one MLflow model by every protocol, without a server or a project', [
    'modelwright serve ./model --port 8080',
    'modelwright serve models:/tumour-classifier@champion',
    'modelwright serve runs:/0a1b2c3d4e5f60718293a4b5c6d7e8f9/model --workers 2',
  ])
    .helpOption('--help', 'display help for command')
    .option('-m, --model-uri <uri>', 'the model, as mlflow models serve names it')
    .option('-p, --port <port>', '5000 where none is named; HTTP and gRPC share it')
    .option('-h, --host <host>', 'address to listen on; beyond loopback a token is needed')
    .option('-w, --workers <count>', 'Python processes for a model that is not ONNX', '1')
    .option('--spare', 'one more, loaded and warmed: it goes on at once when another dies')
    .option('-t, --timeout <seconds>', 'how long a request may take', '60')
    .option('--name <name>', 'the name of the model in /v2/models/NAME; else its own')
    .option('--grpc-port <port>', 'a port for gRPC alone, as well')
    .option('--python <path>', 'Python that has what the model needs; else MODELWRIGHT_PYTHON, or python3')
    .option(
      '--env-manager <how>',
      'local: that Python; uv, virtualenv: one made from the requirements of the model',
      'local',
    )
    .option('--no-conda', 'the same as --env-manager local')
    .option('--pass-env <names>', "variables that the model's code may see, separated by commas")
    .option('--network', "lets the model's code use the network (a model of ONNX has none)")
    .option(
      '--convert <when>',
      'to ONNX: auto (once both are proved to answer alike), on (ready only then), off',
      'auto',
    )
    .option('--allowed-host <names>', 'names under which it may be called on loopback, separated by commas; * is any')
    .option('--no-auth', 'needs no token beyond loopback: for containers')
    .option('--max-body-mb <size>', 'largest request', '128')
    .option('--max-batch <rows>', 'rows of several requests that an ONNX model computes at once', '64')
    .option('--batch-delay <ms>', 'how long a batch is waited for while requests come fast', '0')
    .option('--threads <count>', 'of ONNX Runtime; else by the size of the graph')
    .option('--concurrency <count>', 'requests that are computed at once; else what the model takes')
    .option('--queue <count>', 'requests that may wait besides (256); more are answered 429')
    .option('--explain-rows <count>', 'most rows that one request may ask to explain (1000)')
    .action(
      act(async (context, model: string | undefined, flags: ServeFlags) =>
        (await import('./serve.ts')).serve(context, model, flags),
      ),
    )

  command('run', 'doctor', 'look for what is wrong on this machine and with the server', ['modelwright doctor']).action(
    act(async (context) => (await import('./doctor.ts')).doctor(context)),
  )

  command('run', 'token', "say where the owner's token lies", ['modelwright token', 'modelwright token --show'])
    .option('--show', 'print the secret itself')
    .action(act(async (context, options: { show?: boolean }) => (await import('./token.ts')).token(context, options)))

  command('run', 'gc', 'purge what was deleted long enough ago, and free what nothing needs any more', [
    'modelwright gc --dry-run',
    'modelwright gc --older-than 0s --experiments 7,9',
  ])
    .option('--older-than <time>', 'deleted for at least so long; else what the server was told with --retention (30d)')
    .option('--experiments <ids>', 'only these, separated by commas; they must be deleted')
    .option('--runs <ids>', 'only these, separated by commas; they must be deleted')
    .option('--grace <time>', 'how long nothing may have referred to a file; 24h where nothing is said')
    .option('--dry-run', 'only tell what would go')
    .action(act(async (context, options: GcOptions) => (await import('./gc.ts')).gc(context, options)))

  const secrets = command('run', 'secrets', 'list the secrets that steps may ask for, set and remove them', [
    'modelwright secrets',
    'printf %s "$HF_TOKEN" | modelwright secrets set HF_TOKEN --project tumour-classifier',
  ]).action(act(async (context) => (await import('./secrets.ts')).secrets(context)))
  secrets
    .command('list')
    .description('list the names that are set; values are never shown')
    .action(act(async (context) => (await import('./secrets.ts')).secrets(context)))
  secrets
    .command('set <name>')
    .description('set a secret; its value comes from standard input, or is asked for')
    .option('--everywhere', 'for every project of the server, not only one')
    .action(
      act(async (context, name: string, options: { everywhere?: boolean }) =>
        (await import('./secrets.ts')).setOne(context, name, options),
      ),
    )
  secrets
    .command('remove <name>')
    .description('forget a secret')
    .option('--everywhere', 'that of every project')
    .action(
      act(async (context, name: string, options: { everywhere?: boolean }) =>
        (await import('./secrets.ts')).removeOne(context, name, options),
      ),
    )

  const users = command('run', 'users', 'list the users of the server, add and remove them, and make their tokens', [
    'modelwright users',
    'modelwright users add ben --password-stdin < password.txt',
    'modelwright users token ci --as nightly --expires 30d',
  ]).action(act(async (context) => (await import('./users.ts')).users(context)))
  users
    .command('list')
    .description('list the users')
    .action(act(async (context) => (await import('./users.ts')).users(context)))
  users
    .command('add <name>')
    .description('add a user')
    .option('--admin', 'may do everything that the owner may')
    .option('--password-stdin', 'read a password from standard input; without one the user has tokens only')
    .action(
      act(async (context, name: string, options: { admin?: boolean; passwordStdin?: boolean }) =>
        (await import('./users.ts')).addOne(context, name, options),
      ),
    )
  users
    .command('password <name>')
    .description('set another password, read from standard input')
    .action(act(async (context, name: string) => (await import('./users.ts')).setPassword(context, name)))
  users
    .command('admin <name>')
    .description('make a user an admin')
    .option('--off', 'an admin no longer')
    .action(
      act(async (context, name: string, options: { off?: boolean }) =>
        (await import('./users.ts')).setAdmin(context, name, options),
      ),
    )
  users
    .command('remove <name>')
    .description('remove a user with all tokens and permissions')
    .action(act(async (context, name: string) => (await import('./users.ts')).removeOne(context, name)))
  users
    .command('token <name>')
    .description('make a token for a user, and print it this once')
    .option('--as <token>', 'what it is for, once per user', 'default')
    .option('--expires <duration>', 'how long it counts: 30d, 12h; for ever where it is left out')
    .action(
      act(async (context, name: string, options: { expires?: string; as?: string }) =>
        (await import('./users.ts')).issueToken(context, name, options),
      ),
    )
  users
    .command('tokens <name>')
    .description("list a user's tokens")
    .action(act(async (context, name: string) => (await import('./users.ts')).userTokens(context, name)))
  users
    .command('revoke <name> <token>')
    .description('end a token of a user')
    .action(
      act(async (context, name: string, token: string) => (await import('./users.ts')).revokeOne(context, name, token)),
    )
}

async function processes({ program, parts }: Declare): Promise<void> {
  const names = ['up', 'down', 'server', 'gateway']
  program.commandsGroup(groups.run)
  // A word may be an option's value as well: then they are declared for nothing, which only takes a moment.
  if (parts.words.length === 0 || parts.words.some((word) => word === 'help' || names.includes(word)))
    (await import('./processes.ts')).processCommands(program, parts)
  // Named for suggestions and completion; their settings take time to load.
  else for (const name of names) program.command(name)
}
