import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eachDatabase } from '../../support/databases.ts'
import { PythonSession, testPython } from '../../support/python.ts'
import { type MlflowServer, startMlflowServer } from './mlflow-server.ts'

const python = testPython()

eachDatabase('the real mlflow client', (database) => {
  if (!python) return it.skip('needs MODELWRIGHT_TEST_PYTHON')
  let server: MlflowServer
  let session: PythonSession

  beforeAll(async () => {
    server = await startMlflowServer(database)
    session = new PythonSession(python, {
      MLFLOW_TRACKING_URI: server.url,
    })
    await session.run(`
      import os, tempfile, pathlib, warnings
      import mlflow, numpy, pandas, sklearn.linear_model
      from mlflow import MlflowClient
      from mlflow.exceptions import MlflowException
      client = MlflowClient()
      X = pandas.DataFrame({'a': [0.0, 1.0, 2.0, 3.0], 'b': [1.0, 0.0, 1.0, 0.0]})
      y = [0, 0, 1, 1]
      def fitted(c=1.0):
          return sklearn.linear_model.LogisticRegression(C=c).fit(X, y)
    `)
  })

  afterAll(async () => {
    await session?.end()
    await server?.close()
  })

  it('reads back params, tags, metrics with NaN and infinities, and the status', async () => {
    const run = await session.run<Record<string, Record<string, unknown>>>(`
      mlflow.set_experiment('reading back')
      with mlflow.start_run(run_name='first', tags={'team': 'red'}, description='a note') as run:
          mlflow.log_params({'depth': 3, 'rate': 0.1, 'long': 'x' * 6000})
          mlflow.log_param('depth', 3)
          mlflow.log_metric('auc', 0.5, step=1)
          mlflow.log_metric('auc', 0.75, step=2)
          mlflow.log_metrics({'nan': float('nan'), 'inf': float('inf'), 'ninf': float('-inf'), 'neg': -0.5})
          mlflow.set_tag('colour', 'blue')
      got = client.get_run(run.info.run_id)
      result = {'params': got.data.params, 'metrics': got.data.metrics, 'tags': got.data.tags,
                'info': {'status': got.info.status, 'name': got.info.run_name, 'ended': got.info.end_time is not None}}
    `)
    expect(run.params).toEqual({ depth: '3', rate: '0.1', long: 'x'.repeat(6000) })
    expect(run.metrics).toEqual({
      auc: 0.75,
      nan: 'nan',
      inf: 1.7976931348623157e308,
      ninf: -1.7976931348623157e308,
      neg: -0.5,
    })
    expect(run.tags).toMatchObject({
      team: 'red',
      colour: 'blue',
      'mlflow.runName': 'first',
      'mlflow.note.content': 'a note',
    })
    expect(run.info).toEqual({ status: 'FINISHED', name: 'first', ended: true })
  })

  it('reads a history in order of steps, with the same point logged twice once', async () => {
    const history = await session.run(`
      with mlflow.start_run() as run:
          for step, value in [(3, 0.3), (1, 0.1), (2, float('nan')), (1, 0.1)]:
              client.log_metric(run.info.run_id, 'loss', value, timestamp=1000 + step, step=step)
      result = [(p.step, p.value, p.timestamp) for p in client.get_metric_history(run.info.run_id, 'loss')]
    `)
    expect(history).toEqual([
      [1, 0.1, 1001],
      [2, 'nan', 1002],
      [3, 0.3, 1003],
    ])
  })

  it('refuses to change a param, in the words that clients look for', async () => {
    const failure = await session.failure(`
      with mlflow.start_run():
          mlflow.log_param('depth', 3)
          mlflow.log_param('depth', 5)
    `)
    expect(failure.error).toContain(
      "Changing param values is not allowed. Param with key='depth' was already logged with value='3'",
    )
    expect(failure.errorCode).toBe('INVALID_PARAMETER_VALUE')
  })

  it('uploads, lists and downloads artifacts, files and folders', async () => {
    const seen = await session.run(`
      mlflow.end_run()
      with mlflow.start_run() as run:
          mlflow.log_text('hello', 'notes/a b ü.txt')
          mlflow.log_dict({'k': [1, 2]}, 'conf.json')
          mlflow.log_text('', 'empty.txt')
          folder = pathlib.Path(tempfile.mkdtemp())
          (folder / 'sub').mkdir()
          (folder / 'sub' / 'big.bin').write_bytes(b'0123456789' * 500_000)
          mlflow.log_artifacts(folder, 'folder')
      rid = run.info.run_id
      listed = sorted((f.path, f.is_dir, f.file_size) for f in client.list_artifacts(rid))
      inside = [(f.path, f.is_dir) for f in client.list_artifacts(rid, 'folder')]
      text = mlflow.artifacts.load_text(f'runs:/{rid}/notes/a b ü.txt')
      conf = mlflow.artifacts.load_dict(f'runs:/{rid}/conf.json')
      down = client.download_artifacts(rid, '')
      size = (pathlib.Path(down) / 'folder' / 'sub' / 'big.bin').stat().st_size
      result = [listed, inside, text, conf, size, client.list_artifacts(rid, 'conf.json')]
    `)
    expect(seen).toEqual([
      [
        ['conf.json', false, expect.any(Number)],
        ['empty.txt', false, 0],
        ['folder', true, null],
        ['notes', true, null],
      ],
      [['folder/sub', true]],
      'hello',
      { k: [1, 2] },
      5_000_000,
      [],
    ])
  })

  it('logs a scikit-learn model with signature and input example, and predicts with it again', async () => {
    const model = await session.run<Record<string, unknown>>(`
      mlflow.set_experiment('models')
      from mlflow.models import infer_signature
      with mlflow.start_run() as run:
          info = mlflow.sklearn.log_model(fitted(), name='clf', signature=infer_signature(X, y), input_example=X.head(2), serialization_format='cloudpickle')
          mlflow.log_metric('auc', 0.9, model_id=info.model_id)
      loaded = mlflow.pyfunc.load_model(info.model_uri)
      logged = mlflow.get_logged_model(info.model_id)
      outputs = client.get_run(run.info.run_id).outputs.model_outputs
      result = {'predicted': [int(v) for v in loaded.predict(X)], 'expected': [int(v) for v in fitted().predict(X)],
                'status': str(logged.status), 'name': logged.name, 'metrics': {m.key: m.value for m in logged.metrics},
                'inputs': [c.name for c in loaded.metadata.signature.inputs],
                'outputs': [o.model_id == info.model_id for o in outputs], 'source': logged.source_run_id == run.info.run_id,
                'found': [m.model_id == info.model_id for m in mlflow.search_logged_models(filter_string="name = 'clf'", output_format='list')],
                'run_id': run.info.run_id, 'model_id': info.model_id}
    `)
    expect(model).toMatchObject({
      status: 'READY',
      name: 'clf',
      metrics: { auc: 0.9 },
      inputs: ['a', 'b'],
      outputs: [true],
      source: true,
      found: [true],
    })
    expect(model.predicted).toEqual(model.expected)
    const [logged] = await server.tracking.loggedModels({ runIds: [String(model.run_id)] })
    const tree = await server.artifacts.files.treeUnder(`${logged!.experimentId}/models/${model.model_id}/artifacts`)
    expect(tree.files.map((file) => file.path)).toContain('MLmodel')
  })

  it('keeps a version that user code registers, without a manifest, and finds it by alias', async () => {
    const seen = await session.run(`
      with mlflow.start_run() as run:
          first = mlflow.sklearn.log_model(fitted(), name='m', registered_model_name='Tumour classifier', serialization_format='cloudpickle')
      second = mlflow.register_model(first.model_uri, 'Tumour classifier')
      client.set_registered_model_alias('Tumour classifier', 'champion', 1)
      client.set_model_version_tag('Tumour classifier', '1', 'checked', 'yes')
      client.update_registered_model('Tumour classifier', 'finds tumours')
      by_alias = client.get_model_version_by_alias('Tumour classifier', 'champion')
      loaded = mlflow.pyfunc.load_model('models:/Tumour classifier@champion')
      found = client.search_model_versions("name = 'Tumour classifier'")
      model = client.get_registered_model('Tumour classifier')
      result = [second.version, by_alias.version, by_alias.tags, list(by_alias.aliases), [v.version for v in found],
                model.description, model.aliases, len(loaded.predict(X)), by_alias.run_id == run.info.run_id,
                [m.name for m in client.search_registered_models("name ILIKE 'tumour%'")]]
    `)
    expect(seen).toEqual([
      '2',
      '1',
      { checked: 'yes' },
      ['champion'],
      ['2', '1'],
      'finds tumours',
      { champion: '1' },
      4,
      true,
      ['Tumour classifier'],
    ])
    expect(await server.registry.version('Tumour classifier', 1)).toMatchObject({
      origin: 'client',
      manifestDigest: undefined,
    })
  })

  it('searches runs by metric, param, tag and attribute, ordered, in pages', async () => {
    const seen = await session.run(`
      exp = mlflow.set_experiment('searching').experiment_id
      for i in range(7):
          with mlflow.start_run(run_name=f'run {i}'):
              mlflow.log_params({'depth': i % 3, 'kind': 'Tree' if i % 2 else 'forest'})
              if i != 6:
                  mlflow.log_metric('auc', float('nan') if i == 5 else i / 10)
      names = lambda runs: [r.info.run_name for r in runs]
      find = lambda f, **k: names(client.search_runs([exp], f, **k))
      pages, token = [], None
      while True:
          page = client.search_runs([exp], max_results=2, order_by=['metrics.auc DESC'], page_token=token)
          pages.append(names(page)); token = page.token
          if not token: break
      result = [
        find("metrics.auc >= 0.2 AND params.depth = '0'"),
        find("params.kind LIKE 'T%' and metrics.auc < 0.4", order_by=['metrics.auc ASC']),
        find("params.kind LIKE 't%'"), find("params.kind ILIKE 't%'", order_by=['attributes.start_time']),
        find("tags.\`mlflow.runName\` = 'run 4'"), find("run_name = 'run 1'"),
        find("attributes.status = 'FINISHED' AND metrics.auc != 0.1", order_by=['run_name DESC']),
        pages, len(mlflow.search_runs(search_all_experiments=True, max_results=3))]
    `)
    expect(seen).toEqual([
      ['run 3'],
      ['run 1', 'run 3'],
      [],
      ['run 1', 'run 3', 'run 5'],
      ['run 4'],
      ['run 1'],
      ['run 5', 'run 4', 'run 3', 'run 2', 'run 0'],
      [['run 4', 'run 3'], ['run 2', 'run 1'], ['run 0', 'run 5'], ['run 6']],
      3,
    ])
  })

  it('nests runs and logs autologged training of scikit-learn', async () => {
    const seen = await session.run<Record<string, unknown>>(`
      mlflow.set_experiment('autolog')
      with mlflow.start_run() as parent:
          with mlflow.start_run(nested=True) as child:
              mlflow.log_metric('x', 1)
      children = client.search_runs([parent.info.experiment_id], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
      mlflow.sklearn.autolog(log_input_examples=True, serialization_format='cloudpickle')
      fitted(0.5)
      mlflow.sklearn.autolog(disable=True)
      auto = mlflow.last_active_run()
      result = {'children': [c.info.run_id == child.info.run_id for c in children], 'C': auto.data.params['C'],
                'metrics': sorted(auto.data.metrics), 'models': len(auto.outputs.model_outputs), 'status': auto.info.status,
                'datasets': [i.dataset.source_type for i in auto.inputs.dataset_inputs]}
    `)
    expect(seen).toMatchObject({ children: [true], C: '0.5', models: 1, status: 'FINISHED', datasets: ['code'] })
    expect(seen.metrics).toContain('training_accuracy_score')
  })

  describe("inside a step, with the step's token and run", () => {
    let own: string
    let other: string

    beforeAll(async () => {
      other = await session.run<string>("result = client.create_run('0').info.run_id")
      own = await session.run<string>("result = client.create_run('0').info.run_id")
      await session.run(`
        os.environ.update(MLFLOW_TRACKING_TOKEN='${server.stepToken(own)}', MLFLOW_RUN_ID='${own}')
        mlflow.set_experiment('Default')
      `)
    })
    afterAll(() => session.run("os.environ.pop('MLFLOW_TRACKING_TOKEN'); os.environ.pop('MLFLOW_RUN_ID', None)"))

    it('a script keeps its habits, and everything that it logs belongs to the step', async () => {
      const made = await session.run<Record<string, string>>(`
        with mlflow.start_run() as first:
            mlflow.log_param('in', 'the step')
            with mlflow.start_run(nested=True) as nested:
                mlflow.log_metric('loss', 0.1)
        mlflow.set_experiment('of my own')
        with mlflow.start_run() as second:
            info = mlflow.sklearn.log_model(fitted(), name='clf', registered_model_name='from a step', serialization_format='cloudpickle')
            mlflow.log_text('x', 'note.txt')
        client.set_registered_model_alias('from a step', 'mine', 1)
        result = {'first': first.info.run_id, 'nested': nested.info.run_id, 'second': second.info.run_id, 'model': info.model_id}
      `)
      expect(made.first).toBe(own)
      const owned = await server.tracking.runsOwnedBy(own)
      expect(owned.map((run) => run.runId)).toEqual([made.nested, made.second])
      expect((await server.tracking.run(made.second!)).tags['mlflow.parentRunId']).toBe(own)
      const models = await server.tracking.loggedModels({ runIds: [own, ...owned.map((run) => run.runId)] })
      expect(models.map((model) => [model.modelId, model.status])).toEqual([[made.model, 'READY']])
      expect(await server.registry.version('from a step', 1)).toMatchObject({ origin: 'client', runId: made.second })
    })

    it("may not write another's run", async () => {
      const failure = await session.failure(`client.log_metric('${other}', 'loss', 1.0)`)
      expect(failure.error).toContain(`may not write run ${other}`)
      expect(failure.errorCode).toBe('PERMISSION_DENIED')
    })

    it('is told when its token is not known', async () => {
      const failure = await session.failure(`
        os.environ['MLFLOW_TRACKING_TOKEN'] = 'nobody'
        client.get_experiment('0')
      `)
      expect(failure.error).toContain('not known here')
    })
  })
})
