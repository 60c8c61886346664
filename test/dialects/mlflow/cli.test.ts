import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eachDatabase } from '../../support/databases.ts'
import { PythonSession, testPython } from '../../support/python.ts'
import { type MlflowServer, startMlflowServer } from './mlflow-server.ts'

const python = testPython()

/** The commands run in one process: each start of the CLI would cost 5 s. */
eachDatabase('the real mlflow CLI', (database) => {
  if (!python) return it.skip('needs MODELWRIGHT_TEST_PYTHON')
  let server: MlflowServer
  let session: PythonSession

  beforeAll(async () => {
    server = await startMlflowServer(database)
    session = new PythonSession(python, {
      MLFLOW_TRACKING_URI: server.url,
    })
    await session.run(`
      import csv, io, json, pathlib, re, tempfile
      from click.testing import CliRunner
      from mlflow import MlflowClient
      from mlflow.cli import cli
      client = MlflowClient()

      def mlflow_cli(*words):
          answer = CliRunner().invoke(cli, list(words))
          if answer.exit_code != 0:
              raise RuntimeError(answer.output + str(answer.exception))
          return answer.output

      def experiment(name):
          return re.search(r'id (\\d+)', mlflow_cli('experiments', 'create', '-n', name)).group(1)

      def created_run(*words):
          return json.loads(re.search(r'\\{.*\\}', mlflow_cli('runs', 'create', *words), re.S).group(0))['run_id']
    `)
  })

  afterAll(async () => {
    await session?.end()
    await server?.close()
  })

  describe('mlflow experiments', () => {
    it('creates one, gets it by id and by name, and finds it', async () => {
      const seen = await session.run<{ byId: { name: string }; byName: { experiment_id: string }; id: string }>(`
        id = experiment('made by hand')
        result = {
          'id': id,
          'byId': json.loads(mlflow_cli('experiments', 'get', '-x', id, '--output', 'json')),
          'byName': json.loads(mlflow_cli('experiments', 'get', '-n', 'made by hand', '--output', 'json')),
          'found': mlflow_cli('experiments', 'search'),
        }
      `)
      expect(seen.byId).toMatchObject({ name: 'made by hand', lifecycle_stage: 'active' })
      expect(seen.byName.experiment_id).toBe(seen.id)
      expect(seen).toMatchObject({ found: expect.stringContaining('made by hand') })
    })

    it('keeps the location of artifacts that it was given', async () => {
      const location = await session.run(`
        mlflow_cli('experiments', 'create', '-n', 'elsewhere', '-l', 's3://bucket/folder')
        result = client.get_experiment_by_name('elsewhere').artifact_location
      `)
      expect(location).toBe('s3://bucket/folder')
    })

    it('deletes, finds among the deleted, restores and renames', async () => {
      const seen = await session.run(`
        id = experiment('short life')
        stages = []
        mlflow_cli('experiments', 'delete', '-x', id)
        stages.append(client.get_experiment(id).lifecycle_stage)
        deleted = mlflow_cli('experiments', 'search', '--view', 'deleted_only')
        mlflow_cli('experiments', 'restore', '-x', id)
        stages.append(client.get_experiment(id).lifecycle_stage)
        mlflow_cli('experiments', 'rename', '-x', id, '--new-name', 'long life')
        result = [stages, 'short life' in deleted, client.get_experiment(id).name]
      `)
      expect(seen).toEqual([['deleted', 'active'], true, 'long life'])
    })

    it('sets and clears how long traces are kept', async () => {
      const tags = await session.run(`
        id = experiment('kept traces')
        mlflow_cli('experiments', 'update', '-x', id, '--trace-archival-retention', '30d')
        kept = dict(client.get_experiment(id).tags)
        mlflow_cli('experiments', 'update', '-x', id, '--clear-trace-archival-retention')
        result = [len(kept), dict(client.get_experiment(id).tags)]
      `)
      expect(tags).toEqual([1, {}])
    })

    it('writes the runs of one as CSV', async () => {
      const rows = await session.run<Record<string, string>[]>(`
        id = experiment('as a table')
        for value in (0.25, 0.5):
            run = client.create_run(id)
            client.log_metric(run.info.run_id, 'auc', value)
            client.log_param(run.info.run_id, 'depth', 3)
        result = list(csv.DictReader(io.StringIO(mlflow_cli('experiments', 'csv', '-x', id))))
      `)
      expect(rows.map((row) => [row['metrics.auc'], row['params.depth']]).sort()).toEqual([
        ['0.25', '3'],
        ['0.5', '3'],
      ])
    })

    it('says what MLflow says of an experiment that is not there', async () => {
      const { error } = await session.failure(`mlflow_cli('experiments', 'delete', '-x', '424242')`)
      expect(error).toContain('No Experiment with id=424242 exists')
    })
  })

  describe('mlflow runs', () => {
    it('creates one that has ended, below a parent, and describes it', async () => {
      const run = await session.run(`
        id = experiment('runs by hand')
        parent = created_run('--experiment-id', id, '--run-name', 'parent')
        child = created_run('--experiment-id', id, '--run-name', 'child', '--description', 'a note', '-t', 'env=prod',
                            '--status', 'FAILED', '--parent-run-id', parent)
        said = json.loads(mlflow_cli('runs', 'describe', '--run-id', child))
        result = [said['info']['status'], said['info']['run_name'], said['data']['tags']['env'],
                  said['data']['tags']['mlflow.note.content'], said['data']['tags']['mlflow.parentRunId'] == parent]
      `)
      expect(run).toEqual(['FAILED', 'child', 'prod', 'a note', true])
    })

    it('lists, deletes and restores', async () => {
      const seen = await session.run(`
        id = experiment('listed runs')
        run = created_run('--experiment-id', id, '--run-name', 'the one')
        listed = [run in mlflow_cli('runs', 'list', '--experiment-id', id)]
        mlflow_cli('runs', 'delete', '--run-id', run)
        listed.append(run in mlflow_cli('runs', 'list', '--experiment-id', id))
        listed.append(run in mlflow_cli('runs', 'list', '--experiment-id', id, '--view', 'deleted_only'))
        mlflow_cli('runs', 'restore', '--run-id', run)
        listed.append(run in mlflow_cli('runs', 'list', '--experiment-id', id))
        result = listed
      `)
      expect(seen).toEqual([true, false, true, true])
    })
  })

  it('logs, lists and downloads artifacts (mlflow artifacts)', async () => {
    const seen = await session.run(`
      id = experiment('artifacts by hand')
      run = created_run('--experiment-id', id)
      folder = pathlib.Path(tempfile.mkdtemp())
      (folder / 'a.txt').write_text('hello')
      mlflow_cli('artifacts', 'log-artifact', '-l', str(folder / 'a.txt'), '-r', run, '-a', 'notes')
      mlflow_cli('artifacts', 'log-artifacts', '-l', str(folder), '-r', run)
      listed = sorted(entry['path'] for entry in json.loads(mlflow_cli('artifacts', 'list', '-r', run)))
      to = tempfile.mkdtemp()
      mlflow_cli('artifacts', 'download', '-r', run, '-a', 'notes', '-d', to)
      result = [listed, pathlib.Path(to, 'notes', 'a.txt').read_text()]
    `)
    expect(seen).toEqual([['a.txt', 'notes'], 'hello'])
  })

  it('is told by mlflow gc that a server does not delete for good over REST', async () => {
    const { error } = await session.failure(`mlflow_cli('gc', '--backend-store-uri', '${server.url}')`)
    expect(error).toContain('only be used with a backend that allows hard-deleting runs')
  })
})
