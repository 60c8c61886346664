import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eachDatabase } from '../../support/databases.ts'
import { PythonSession, testPython } from '../../support/python.ts'
import { type MlflowServer, startMlflowServer } from './mlflow-server.ts'

const python = testPython()

describe.skipIf(!python)('what users of mlflow log with its flavours', () => {
  let session: PythonSession

  beforeAll(async () => {
    session = new PythonSession(python!, {
      MPLBACKEND: 'agg',
      // What a model needs is found by loading it in a process of its own, which takes seconds; then it is guessed.
      MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT: '1',
    })
    await session.run(`
      import json, logging, os, pathlib, tempfile, time
      os.environ['MPLCONFIGDIR'] = tempfile.mkdtemp()
      import mlflow, mlflow.lightgbm, mlflow.sklearn, numpy, pandas
      import lightgbm, sklearn.ensemble, sklearn.linear_model, sklearn.model_selection
      from mlflow import MlflowClient
      from mlflow.models import infer_signature
      logging.getLogger('mlflow').setLevel(logging.ERROR)
      rng = numpy.random.default_rng(7)
      X = pandas.DataFrame(rng.normal(size=(80, 3)), columns=['a', 'b', 'c'])
      y = (X['a'] + X['b'] > 0).astype(int)
      z = 2.0 * X['a'] - X['c']
      pickled = {'serialization_format': 'cloudpickle', 'pip_requirements': ['scikit-learn']}
    `)
  })
  afterAll(() => session?.end())

  eachDatabase('are read back', (database) => {
    let server: MlflowServer

    beforeAll(async () => {
      server = await startMlflowServer(database)
      await session.run(`
        mlflow.set_tracking_uri('${server.url}')
        mlflow.set_registry_uri('${server.url}')
        client = MlflowClient()
      `)
    })
    afterAll(async () => {
      await session.run('mlflow.end_run()')
      await server.close()
    })

    it('autologged scikit-learn: params, metrics, the dataset, the model, and a search as nested runs', async () => {
      const seen = await session.run<Record<string, unknown>>(`
        mlflow.set_experiment('autolog sklearn')
        mlflow.sklearn.autolog(log_input_examples=True, serialization_format='cloudpickle')
        with mlflow.start_run() as run:
            model = sklearn.linear_model.LogisticRegression(C=0.5).fit(X, y)
            model.score(X, y)
        mlflow.sklearn.autolog(max_tuning_runs=2, log_models=False)
        with mlflow.start_run() as search:
            sklearn.model_selection.GridSearchCV(sklearn.linear_model.Ridge(), {'alpha': [0.1, 1.0]}, cv=2).fit(X, z)
        mlflow.sklearn.autolog(disable=True)
        got = client.get_run(run.info.run_id)
        children = client.search_runs([run.info.experiment_id], f"tags.mlflow.parentRunId = '{search.info.run_id}'")
        logged = mlflow.search_logged_models([run.info.experiment_id], filter_string=f"source_run_id = '{run.info.run_id}'", output_format='list')
        loaded = mlflow.sklearn.load_model(logged[0].model_uri)
        dataset = got.inputs.dataset_inputs[0]
        result = {'C': got.data.params['C'], 'score': got.data.metrics['LogisticRegression_score_X'] == model.score(X, y),
                  'training': 'training_accuracy_score' in got.data.metrics, 'children': len(children),
                  'best': client.get_run(search.info.run_id).data.params['best_alpha'],
                  'same': bool((loaded.predict(X) == model.predict(X)).all()),
                  'dataset': [dataset.dataset.source_type, [t.value for t in dataset.tags], json.loads(dataset.dataset.profile)['num_rows']],
                  'estimator': got.data.tags['estimator_name'], 'images': [f.path for f in client.list_artifacts(run.info.run_id)]}
      `)
      expect(seen).toMatchObject({
        C: '0.5',
        score: true,
        training: true,
        children: 2,
        best: expect.stringMatching(/^(0\.1|1\.0)$/),
        same: true,
        dataset: ['code', ['train'], 80],
        estimator: 'LogisticRegression',
      })
      expect(seen.images).toContain('training_confusion_matrix.png')
    })

    it('a scikit-learn model, registered as it is logged, by version and by alias', async () => {
      const seen = await session.run(`
        mlflow.set_experiment('sklearn')
        forest = sklearn.ensemble.RandomForestClassifier(n_estimators=3, random_state=1).fit(X, y)
        with mlflow.start_run() as run:
            info = mlflow.sklearn.log_model(forest, name='forest', signature=infer_signature(X, forest.predict(X)),
                                            registered_model_name='forest', metadata={'of': 'a test'}, **pickled)
        client.set_registered_model_alias('forest', 'best', info.registered_model_version)
        by_version = mlflow.pyfunc.load_model(f'models:/forest/{info.registered_model_version}')
        by_alias = mlflow.sklearn.load_model('models:/forest@best')
        try:
            by_version.predict(pandas.DataFrame({'a': [1.0]}))
            refused = None
        except mlflow.MlflowException as e:
            refused = 'missing inputs' in e.message
        version = client.get_model_version('forest', info.registered_model_version)
        result = [bool((by_version.predict(X) == forest.predict(X)).all()), bool((by_alias.predict_proba(X) == forest.predict_proba(X)).all()),
                  by_version.metadata.metadata, by_version.metadata.signature.inputs.input_names(), refused, version.source == f'models:/{info.model_id}',
                  mlflow.models.get_model_info(info.model_uri).flavors.keys() >= {'sklearn', 'python_function'}]
      `)
      expect(seen).toEqual([true, true, { of: 'a test' }, ['a', 'b', 'c'], true, true, true])
    })

    it('autologged LightGBM: its metric at each round, its importances, its model', async () => {
      const seen = await session.run<Record<string, unknown>>(`
        mlflow.set_experiment('lightgbm')
        mlflow.lightgbm.autolog(registered_model_name='booster')
        with mlflow.start_run() as run:
            data = lightgbm.Dataset(X, label=y)
            booster = lightgbm.train({'objective': 'binary', 'verbose': -1, 'num_leaves': 4, 'min_data_in_leaf': 5, 'num_threads': 1},
                                     data, num_boost_round=8, valid_sets=[data], valid_names=['train'])
        mlflow.lightgbm.autolog(disable=True)
        got = client.get_run(run.info.run_id)
        history = client.get_metric_history(run.info.run_id, 'train-binary_logloss')
        loaded = mlflow.lightgbm.load_model('models:/booster/1')
        as_function = mlflow.pyfunc.load_model(f'models:/{got.outputs.model_outputs[0].model_id}')
        result = {'leaves': got.data.params['num_leaves'], 'steps': [m.step for m in history],
                  'falls': all(b.value <= a.value for a, b in zip(history, history[1:])),
                  'same': bool(numpy.allclose(loaded.predict(X), booster.predict(X))),
                  'function': bool(numpy.allclose(as_function.predict(X), booster.predict(X))),
                  'files': sorted(f.path for f in client.list_artifacts(run.info.run_id))}
      `)
      expect(seen).toMatchObject({
        leaves: '4',
        steps: [0, 1, 2, 3, 4, 5, 6, 7],
        falls: true,
        same: true,
        function: true,
      })
      expect(seen.files).toEqual(
        expect.arrayContaining(['feature_importance_gain.json', 'feature_importance_split.png']),
      )
    })

    it('a pyfunc model that is code, with its artifact and the params of a prediction', async () => {
      const seen = await session.run(`
        mlflow.set_experiment('pyfunc')
        folder = pathlib.Path(tempfile.mkdtemp())
        (folder / 'words.json').write_text(json.dumps({'factor': 3}))
        (folder / 'model.py').write_text('''
        import json
        import mlflow

        class Times(mlflow.pyfunc.PythonModel):
            def load_context(self, context):
                self.factor = json.load(open(context.artifacts['words']))['factor']

            def predict(self, context, model_input, params=None):
                return [v * self.factor + (params or {}).get('plus', 0) for v in model_input['v']]

        mlflow.models.set_model(Times())
        ''')
        frame = pandas.DataFrame({'v': [1.0, 2.0]})
        with mlflow.start_run() as run:
            info = mlflow.pyfunc.log_model(name='times', python_model=str(folder / 'model.py'), artifacts={'words': str(folder / 'words.json')},
                                           signature=infer_signature(frame, [3.0], params={'plus': 0.5}), pip_requirements=['mlflow'])
        registered = mlflow.register_model(info.model_uri, 'times', tags={'kind': 'code'})
        loaded = mlflow.pyfunc.load_model('models:/times/1')
        result = [loaded.predict(frame), loaded.predict(frame, params={'plus': 1.0}), registered.version,
                  client.get_model_version('times', '1').tags, 'model.py' in [f.path for f in client.list_logged_model_artifacts(info.model_id)]]
      `)
      expect(seen).toEqual([[3.5, 6.5], [4, 7], '1', { kind: 'code' }, true])
    })

    it('an evaluated classifier and an evaluated regressor: metrics of run and model, tables, plots, the dataset', async () => {
      const seen = await session.run<Record<string, unknown>[]>(`
        mlflow.set_experiment('evaluate')
        def evaluated(model, target, kind):
            table = X.assign(target=target)
            with mlflow.start_run() as run:
                info = mlflow.sklearn.log_model(model.fit(X, target), name=kind, **pickled)
                found = mlflow.models.evaluate(info.model_uri, table, targets='target', model_type=kind, evaluators='default',
                                               evaluator_config={'log_model_explainability': False})
            got = client.get_run(run.info.run_id)
            on_model = {m.key: m.dataset_name for m in mlflow.get_logged_model(info.model_id).metrics}
            return {'metrics': sorted(found.metrics), 'same': all(abs(got.data.metrics[k] - v) < 1e-12 for k, v in found.metrics.items()),
                    'model': sorted(on_model) == sorted(found.metrics), 'artifacts': sorted(found.artifacts),
                    'files': len(client.list_artifacts(run.info.run_id)) > 0,
                    'dataset': [i.dataset.name == list(on_model.values())[0] for i in got.inputs.dataset_inputs][:1]}
        result = [evaluated(sklearn.linear_model.LogisticRegression(), y, 'classifier'), evaluated(sklearn.linear_model.LinearRegression(), z, 'regressor')]
      `)
      expect(seen[0]).toMatchObject({ same: true, model: true, files: true, dataset: [true] })
      expect(seen[0]!.metrics).toEqual(expect.arrayContaining(['accuracy_score', 'f1_score', 'roc_auc', 'log_loss']))
      expect(seen[0]!.artifacts).toEqual(expect.arrayContaining(['confusion_matrix', 'roc_curve_plot']))
      expect(seen[1]).toMatchObject({ same: true, model: true })
      expect(seen[1]!.metrics).toEqual(expect.arrayContaining(['mean_squared_error', 'r2_score', 'max_error']))
    })

    it('figures, images, tables, dictionaries, texts and files', async () => {
      const seen = await session.run(`
        import matplotlib.pyplot as plt
        mlflow.set_experiment('artifacts')
        with mlflow.start_run() as run:
            figure, axes = plt.subplots()
            axes.plot([1, 2])
            mlflow.log_figure(figure, 'plots/line.png')
            plt.close(figure)
            mlflow.log_image(numpy.zeros((4, 5, 3), dtype=numpy.uint8), 'black.png')
            for step in range(2):
                mlflow.log_image(numpy.full((4, 5, 3), step, dtype=numpy.uint8), key='frame', step=step)
            mlflow.log_table({'q': ['a', 'b'], 'n': [1, 2]}, 'table.json')
            mlflow.log_table(pandas.DataFrame({'q': ['c'], 'n': [3]}), 'table.json')
            mlflow.log_dict({'deep': [1, {'x': None}]}, 'conf/values.yaml')
            mlflow.log_text('ä\\n', 'note.txt')
        run_id = run.info.run_id
        down = pathlib.Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path='plots'))
        table = mlflow.load_table('table.json', run_ids=[run_id], extra_columns=['run_id'])
        frames = [f.path for f in client.list_artifacts(run_id, 'images')]
        result = [(down / 'line.png').read_bytes()[:4] == b'\\x89PNG', mlflow.artifacts.load_image(f'runs:/{run_id}/black.png').size,
                  len([f for f in frames if f.endswith('.png')]), table[['q', 'n']].values.tolist(), list(table['run_id']) == [run_id] * 3,
                  mlflow.artifacts.load_text(f'runs:/{run_id}/note.txt'), mlflow.artifacts.load_text(f'runs:/{run_id}/conf/values.yaml'),
                  client.get_run(run_id).data.tags['mlflow.loggedArtifacts']]
      `)
      expect(seen).toEqual([
        true,
        [5, 4],
        2,
        [
          ['a', 1],
          ['b', 2],
          ['c', 3],
        ],
        true,
        'ä\n',
        'deep:\n- 1\n- x: null\n',
        '[{"path": "table.json", "type": "table"}]',
      ])
    })

    it('nested runs, several deep, and their search as a DataFrame', async () => {
      const seen = await session.run(`
        experiment = mlflow.set_experiment('frames').experiment_id
        with mlflow.start_run(run_name='top') as top:
            for i in range(3):
                with mlflow.start_run(run_name=f'child {i}', nested=True) as child:
                    mlflow.log_params({'i': i, 'only': 'second'} if i == 1 else {'i': i})
                    mlflow.log_metric('m', i / 2)
                    with mlflow.start_run(run_name=f'leaf {i}', nested=True):
                        mlflow.set_tag('leaf', 'yes')
        frame = mlflow.search_runs(experiment_names=['frames'], filter_string='metrics.m >= 0', order_by=['metrics.m DESC'])
        leaves = mlflow.search_runs([experiment], "tags.leaf = 'yes'", output_format='list')
        parent = mlflow.get_parent_run(leaves[0].info.run_id)
        result = [list(frame['metrics.m']), list(frame['params.i']), [v if isinstance(v, str) else 'missing' for v in frame['params.only']], str(frame['start_time'].dtype)[:10],
                  set(frame['tags.mlflow.parentRunId']) == {top.info.run_id}, len(leaves), parent.info.run_name == leaves[0].info.run_name.replace('leaf', 'child'),
                  mlflow.search_runs([experiment], "tags.leaf = 'no'").empty, len(mlflow.search_runs(search_all_experiments=True, max_results=5))]
      `)
      expect(seen).toEqual([
        [1, 0.5, 0],
        ['2', '1', '0'],
        ['missing', 'second', 'missing'],
        'datetime64',
        true,
        3,
        true,
        true,
        5,
      ])
    })

    it("system metrics of a run, in the machine's own words", async () => {
      const seen = await session.run<string[]>(`
        mlflow.set_experiment('system metrics')
        mlflow.set_system_metrics_sampling_interval(0.1)
        mlflow.set_system_metrics_samples_before_logging(1)
        with mlflow.start_run(log_system_metrics=True) as run:
            until = time.monotonic() + 180
            while time.monotonic() < until and not any(k.startswith('system/') for k in client.get_run(run.info.run_id).data.metrics):
                time.sleep(0.1)
        result = sorted(client.get_run(run.info.run_id).data.metrics)
      `)
      expect(seen).toEqual(
        expect.arrayContaining(['system/cpu_utilization_percentage', 'system/system_memory_usage_megabytes']),
      )
    })

    it('logged models, searched by metric on a dataset, by param and tag, in order', async () => {
      const seen = await session.run(`
        experiment = mlflow.set_experiment('logged models').experiment_id
        data = mlflow.data.from_pandas(X.head(5), name='held out')
        for i in range(4):
            with mlflow.start_run():
                model = mlflow.initialize_logged_model(name=f'model-{i}', params={'depth': str(i % 2)}, tags={'team': 'red' if i else 'blue'})
                mlflow.log_metric('auc', i / 10, model_id=model.model_id, dataset=data)
                mlflow.finalize_logged_model(model.model_id, 'READY')
        names = lambda **more: [m.name for m in mlflow.search_logged_models([experiment], output_format='list', **more)]
        frame = mlflow.search_logged_models([experiment], order_by=[{'field_name': 'metrics.auc', 'ascending': True}])
        result = [names(), names(filter_string="metrics.auc > 0.1 AND params.depth = '0'"), names(filter_string="tags.team = 'blue'"),
                  names(filter_string='metrics.auc >= 0.2', datasets=[{'dataset_name': 'held out', 'dataset_digest': data.digest}], order_by=[{'field_name': 'metrics.auc', 'ascending': False, 'dataset_name': 'held out'}]),
                  names(filter_string='metrics.auc >= 0', datasets=[{'dataset_name': 'another'}]), list(frame['name']), names(max_results=1)]
      `)
      const models = (...numbers: number[]) => numbers.map((n) => `model-${n}`)
      expect(seen).toEqual([models(3, 2, 1, 0), models(2), models(0), models(3, 2), [], models(0, 1, 2, 3), models(3)])
    })
  })
})
