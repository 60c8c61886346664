import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eachDatabase } from '../../support/databases.ts'
import { PythonSession, testPython } from '../../support/python.ts'
import { type MlflowServer, startMlflowServer } from './mlflow-server.ts'

const python = testPython()

eachDatabase('evaluations through the real mlflow client', (database) => {
  if (!python) return it.skip('needs MODELWRIGHT_TEST_PYTHON')
  let server: MlflowServer
  let session: PythonSession

  beforeAll(async () => {
    server = await startMlflowServer(database)
    session = new PythonSession(python, {
      MLFLOW_TRACKING_URI: server.url,
      LOGNAME: 'tester',
    })
    await session.run(`
      import json
      import mlflow, pandas
      from mlflow import MlflowClient
      from mlflow.genai import datasets
      from mlflow.tracking._tracking_service.utils import _get_store
      client = MlflowClient()
      store = _get_store()
      records = lambda data: store._load_dataset_records(data.dataset_id)[0]
    `)
  })

  afterAll(async () => {
    await session?.end()
    await server?.close()
  })

  describe('datasets', () => {
    it('are created, found by id, and deleted with their records', async () => {
      const seen = await session.run(`
        exp = mlflow.set_experiment('creating').experiment_id
        made = datasets.create_dataset(name='questions', experiment_id=[exp], tags={'team': 'red'})
        made.merge_records([{'inputs': {'q': 'a'}}])
        got = datasets.get_dataset(dataset_id=made.dataset_id)
        before = [got.name, got.tags, got.experiment_ids == [exp], got.created_by, got.dataset_id[:2], got.digest != made.digest]
        datasets.delete_dataset(dataset_id=made.dataset_id)
        try:
            datasets.get_dataset(dataset_id=made.dataset_id)
            after = 'still there'
        except mlflow.MlflowException as e:
            after = e.error_code
        result = [before, after, store._load_dataset_records(made.dataset_id)]
      `)
      expect(seen).toEqual([
        ['questions', { team: 'red', 'mlflow.user': 'tester' }, true, 'tester', 'd-', true],
        'RESOURCE_DOES_NOT_EXIST',
        [[], null],
      ])
    })

    it('keep one record for equal inputs, whatever the order of the keys, and merge what is told of it', async () => {
      const seen = await session.run(`
        data = datasets.create_dataset(name='merging')
        data.merge_records([
            {'inputs': {'q': 'a', 'k': 1}, 'expectations': {'answer': 'x', 'score': 1}, 'tags': {'source': 'one'}},
            {'inputs': {'q': 'b', 'k': 2}, 'outputs': 'text'},
        ])
        data.merge_records([
            {'inputs': {'k': 1, 'q': 'a'}, 'expectations': {'score': 2}, 'tags': {'more': 'two'}},
            {'inputs': {'q': 'c', 'k': 3}},
        ])
        result = [(r.inputs, r.outputs, r.expectations, {k: v for k, v in r.tags.items() if k != 'mlflow.user'}, r.source_type)
                  for r in records(data)]
      `)
      expect(seen).toEqual([
        [{ q: 'a', k: 1 }, {}, { answer: 'x', score: 2 }, { source: 'one', more: 'two' }, 'HUMAN'],
        [{ q: 'b', k: 2 }, 'text', null, {}, 'CODE'],
        [{ q: 'c', k: 3 }, {}, null, {}, 'CODE'],
      ])
    })

    it('give numbers back as they were sent: floats, large integers, NaN', async () => {
      const seen = await session.run(`
        data = datasets.create_dataset(name='numbers')
        data.merge_records([{'inputs': {'f': 1.0, 'big': 2**70, 'e': 1e-7, 'deep': [{'x': [1.0, 1]}], 'ü\\u0000': 'ß\\u0000'},
                             'expectations': {'nan': float('nan'), 'inf': float('-inf')}}])
        r = records(data)[0]
        result = [repr(r.inputs), repr(r.expectations), json.loads(datasets.get_dataset(dataset_id=data.dataset_id).schema)]
      `)
      expect(seen).toEqual([
        "{'f': 1.0, 'big': 1180591620717411303424, 'e': 1e-07, 'deep': [{'x': [1.0, 1]}], 'ü\\x00': 'ß\\x00'}",
        "{'nan': nan, 'inf': -inf}",
        {
          inputs: { f: 'float', big: 'integer', e: 'float', deep: 'array', 'ü\u0000': 'string' },
          outputs: {},
          expectations: { nan: 'float', inf: 'float' },
          version: '1.0',
        },
      ])
    })

    it('take thousands of records in order, page them, and count them in the profile', async () => {
      const seen = await session.run(`
        data = datasets.create_dataset(name='many')
        data.merge_records([{'inputs': {'n': i}, 'expectations': {'e': str(i)}} for i in range(2300)])
        page, token = store._load_dataset_records(data.dataset_id, max_results=7)
        rest, last = store._load_dataset_records(data.dataset_id, max_results=50000, page_token=token)
        profile = datasets.get_dataset(dataset_id=data.dataset_id).profile
        gone = data.delete_records([r.dataset_record_id for r in records(data)[:300]])
        after = datasets.get_dataset(dataset_id=data.dataset_id)
        all_gone = data.delete_records([r.dataset_record_id for r in records(data)])
        result = [[r.inputs['n'] for r in page], len(rest), last, profile, gone, after.profile, data.to_df().shape[0],
                  all_gone, datasets.get_dataset(dataset_id=data.dataset_id).profile]
      `)
      expect(seen).toEqual([
        [0, 1, 2, 3, 4, 5, 6],
        2293,
        null,
        '{"num_records": 2300}',
        300,
        '{"num_records": 2000}',
        0,
        2000,
        'null',
      ])
    })

    it('take a DataFrame, and refuse other granularity than they have', async () => {
      const seen = await session.run(`
        data = datasets.create_dataset(name='frames')
        data.merge_records(pandas.DataFrame([{'inputs': {'q': 1}, 'expectations': {'a': 2}}, {'inputs': {'q': 3}, 'expectations': {'a': 4}}]))
        frame = data.to_df()
        try:
            data.merge_records([{'inputs': {'goal': 'win'}}])
            refused = None
        except mlflow.MlflowException as e:
            refused = e.error_code
        result = [list(frame['inputs']), list(frame['source_type']), refused]
      `)
      expect(seen).toEqual([[{ q: 1 }, { q: 3 }], ['HUMAN', 'HUMAN'], 'INVALID_PARAMETER_VALUE'])
    })

    it('carry tags that are set, changed and taken away', async () => {
      const seen = await session.run(`
        data = datasets.create_dataset(name='tagging', tags={'a': '1', 'b': '2'})
        datasets.set_dataset_tags(dataset_id=data.dataset_id, tags={'b': '3', 'c': True, 'd': None})
        datasets.delete_dataset_tag(dataset_id=data.dataset_id, key='a')
        datasets.delete_dataset_tag(dataset_id=data.dataset_id, key='never there')
        result = {k: v for k, v in datasets.get_dataset(dataset_id=data.dataset_id).tags.items() if k != 'mlflow.user'}
      `)
      expect(seen).toEqual({ b: '3', c: 'True' })
    })

    it('belong to the experiments that they are added to', async () => {
      const seen = await session.run(`
        one = mlflow.set_experiment('one').experiment_id
        two = mlflow.set_experiment('two').experiment_id
        data = datasets.create_dataset(name='linked', experiment_id=one)
        added = datasets.add_dataset_to_experiments(dataset_id=data.dataset_id, experiment_ids=[two, one])
        both = added.experiment_ids == [one, two]
        left = datasets.remove_dataset_from_experiments(dataset_id=data.dataset_id, experiment_ids=[one, '999'])
        try:
            datasets.add_dataset_to_experiments(dataset_id=data.dataset_id, experiment_ids=['999'])
            unknown = None
        except mlflow.MlflowException as e:
            unknown = e.message
        result = [both, left.experiment_ids == [two], unknown]
      `)
      expect(seen).toEqual([true, true, expect.stringContaining('No Experiment with id=999')])
    })

    it('are found by name, tag, time and experiment, in order and in pages', async () => {
      const seen = await session.run(`
        exp = mlflow.set_experiment('searching datasets').experiment_id
        made = [datasets.create_dataset(name=f'find {i}', experiment_id=exp, tags={'kind': 'odd' if i % 2 else 'even'}) for i in range(5)]
        names = lambda found: [d.name for d in found]
        find = lambda filter_string=None, **more: names(datasets.search_datasets(experiment_ids=[exp], filter_string=filter_string, **more))
        page = client.search_datasets(experiment_ids=[exp], max_results=2, order_by=['name ASC'])
        pages = [names(page)]
        while page.token:
            page = client.search_datasets(experiment_ids=[exp], max_results=2, order_by=['name ASC'], page_token=page.token)
            pages.append(names(page))
        result = [find("name LIKE 'find%'"), find("tags.kind = 'odd'"), find("name LIKE 'find %' AND tags.kind != 'odd'", order_by=['created_time ASC']),
                  find("name ILIKE 'FIND 3'"), find("name IN ('find 1', 'find 2')", order_by=['name DESC']),
                  find(f"created_time > {made[2].created_time}"), find("created_by = 'tester'", max_results=1),
                  find("tags.none = 'x'"), pages]
      `)
      const names = (...numbers: number[]) => numbers.map((n) => `find ${n}`)
      expect(seen).toEqual([
        names(4, 3, 2, 1, 0),
        names(3, 1),
        names(0, 2, 4),
        names(3),
        names(2, 1),
        names(4, 3),
        names(4),
        [],
        [names(0, 1), names(2, 3), names(4)],
      ])
    })
  })

  it('runs of genai.evaluate name the evaluation dataset as their input', async () => {
    const seen = await session.run(`
      exp = mlflow.set_experiment('inputs').experiment_id
      data = datasets.create_dataset(name='asked', experiment_id=exp)
      data.merge_records([{'inputs': {'q': 1}}])
      with mlflow.start_run() as run:
          mlflow.log_input(data, context='evaluation')
      used = client.get_run(run.info.run_id).inputs.dataset_inputs[0]
      result = [used.dataset.name, used.dataset.source_type, json.loads(used.dataset.source)['dataset_id'] == data.dataset_id,
                [t.value for t in used.tags]]
    `)
    expect(seen).toEqual(['asked', 'mlflow_evaluation_dataset', true, ['evaluation']])
  })

  describe('scorers', () => {
    it('are registered in versions, listed, read back and deleted', async () => {
      const seen = await session.run(`
        from mlflow.genai.scorers import RelevanceToQuery, Guidelines, list_scorers, get_scorer, delete_scorer
        exp = mlflow.set_experiment('scoring').experiment_id
        RelevanceToQuery(name='relevant').register()
        Guidelines(name='polite', guidelines=['be polite']).register()
        Guidelines(name='polite', guidelines=['be very polite']).register()
        listed = [(s.name) for s in list_scorers()]
        versions = [v.scorer_version for v in store.list_scorer_versions(exp, 'polite')]
        first = get_scorer(name='polite', version=1).guidelines
        latest = get_scorer(name='polite').guidelines
        delete_scorer(name='polite', version=1)
        left = [v.scorer_version for v in store.list_scorer_versions(exp, 'polite')]
        delete_scorer(name='polite', version='all')
        try:
            get_scorer(name='polite')
            gone = None
        except mlflow.MlflowException as e:
            gone = e.message
        result = [listed, versions, first, latest, left, gone.replace(exp, 'EXP'), [s.name for s in list_scorers()]]
      `)
      expect(seen).toEqual([
        ['polite', 'relevant'],
        [1, 2],
        ['be polite'],
        ['be very polite'],
        [2],
        expect.stringContaining("Scorer with name 'polite' not found for experiment EXP."),
        ['relevant'],
      ])
    })

    it('judges by instruction come back whole, and code is refused', async () => {
      const seen = await session.run(`
        from mlflow.genai.judges import make_judge
        mlflow.set_experiment('judging')
        make_judge(name='judge', instructions='Is {{ outputs }} good for {{ inputs }}?', model='openai:/gpt-4o-mini', feedback_value_type=bool).register()
        got = get_scorer(name='judge')
        def refused(body):
            try:
                store.register_scorer(mlflow.get_experiment_by_name('judging').experiment_id, 'code', json.dumps(body))
            except mlflow.MlflowException as e:
                return e.error_code
        result = [got.instructions, got.model, refused({'call_source': 'print(1)'}),
                  refused({'instructions_judge_pydantic_data': {'model': 'gateway:/mine'}})]
      `)
      expect(seen).toEqual([
        'Is {{ outputs }} good for {{ inputs }}?',
        'openai:/gpt-4o-mini',
        'INVALID_PARAMETER_VALUE',
        'RESOURCE_DOES_NOT_EXIST',
      ])
    })

    it('are not applied online, but say so', async () => {
      const seen = await session.run(`
        exp = mlflow.set_experiment('online').experiment_id
        scorer = RelevanceToQuery(name='relevant').register()
        off = store.upsert_online_scoring_config(exp, 'relevant', 0.0, "status = 'OK'")
        got = store.get_online_scoring_configs([off.scorer_id])
        try:
            store.upsert_online_scoring_config(exp, 'relevant', 0.5)
            refused = None
        except mlflow.MlflowException as e:
            refused = e.message
        result = [off.sample_rate, [(c.filter_string, c.experiment_id == exp) for c in got], refused]
      `)
      expect(seen).toEqual([0, [["status = 'OK'", true]], expect.stringContaining('does not use a gateway model')])
    })
  })

  it('issues are created, changed, read and searched, the gravest first', async () => {
    const seen = await session.run(`
      from mlflow.entities.issue import IssueStatus, IssueSeverity
      exp = mlflow.set_experiment('issues').experiment_id
      run = client.create_run(exp).info.run_id
      low = store.create_issue(exp, 'slow', 'it is slow', severity=IssueSeverity.LOW, source_run_id=run)
      none = store.create_issue(exp, 'odd', 'it is odd', root_causes=['a', 'b'], categories=['c'], created_by='me')
      high = store.create_issue(exp, 'wrong', 'it is wrong', severity=IssueSeverity.HIGH)
      changed = store.update_issue(none.issue_id, status=IssueStatus.RESOLVED, name='strange', severity=IssueSeverity.MEDIUM)
      got = store.get_issue(none.issue_id)
      names = lambda found: [i.name for i in found]
      first = store.search_issues(experiment_id=exp, max_results=2)
      second = store.search_issues(experiment_id=exp, max_results=2, page_token=first.token)
      result = [got == changed, got.root_causes, got.categories, got.created_by, str(got.status), names(first), names(second), second.token or None,
                names(store.search_issues(experiment_id=exp, filter_string="status = 'resolved'")),
                names(store.search_issues(experiment_id=exp, filter_string=f"source_run_id = '{run}' AND status != 'resolved'"))]
    `)
    expect(seen).toEqual([
      true,
      ['a', 'b'],
      ['c'],
      'me',
      'resolved',
      ['wrong', 'strange'],
      ['slow'],
      null,
      ['strange'],
      ['slow'],
    ])
  })

  it('label schemas are kept by experiment, with the question that every experiment has', async () => {
    const seen = await session.run(`
      from mlflow.genai import label_schemas as ls
      exp = mlflow.set_experiment('labelling').experiment_id
      store.create_label_schema(exp, name='Correct?', type='feedback', input=ls.InputPassFail('yes', 'no'), instruction='look', enable_comment=True)
      store.create_label_schema(exp, name='Which?', type='expectation', input=ls.InputCategorical(['a', 'b'], multi_select=True))
      number = store.create_label_schema(exp, name='How much?', type='feedback', input=ls.InputNumeric(min_value=0.5))
      store.create_label_schema(exp, name='Say', type='feedback', input=ls.InputText(max_length=9))
      changed = store.update_label_schema(number.schema_id, name='How many?', input=ls.InputNumeric(max_value=3))
      page = store.list_label_schemas(exp, max_results=3)
      more = store.list_label_schemas(exp, max_results=3, page_token=page.token)
      named = store.get_label_schema_by_name(exp, 'Correct?')
      default = [s for s in page if s.is_default][0]
      def refused(act):
          try:
              act()
          except mlflow.MlflowException as e:
              return e.error_code
      taken = refused(lambda: store.create_label_schema(exp, name='Say', type='feedback', input=ls.InputText()))
      other = refused(lambda: store.update_label_schema(number.schema_id, input=ls.InputText()))
      protected = refused(lambda: store.delete_label_schema(default.schema_id))
      store.delete_label_schema(number.schema_id)
      result = [[s.name for s in page], [s.name for s in more], [str(s.input) for s in [*page, *more]], str(changed.input),
                [named.instruction, named.enable_comment, str(named.type)], taken, other, protected,
                refused(lambda: store.get_label_schema(number.schema_id))]
    `)
    expect(seen).toEqual([
      ['Feedback', 'Say', 'How many?'],
      ['Which?', 'Correct?'],
      [
        'InputText(max_length=None)',
        'InputText(max_length=9)',
        'InputNumeric(min_value=None, max_value=3.0)',
        "InputCategorical(options=['a', 'b'], multi_select=True)",
        "InputPassFail(positive_label='yes', negative_label='no')",
      ],
      'InputNumeric(min_value=None, max_value=3.0)',
      ['look', true, 'feedback'],
      'RESOURCE_ALREADY_EXISTS',
      'INVALID_PARAMETER_VALUE',
      'INVALID_PARAMETER_VALUE',
      'RESOURCE_DOES_NOT_EXIST',
    ])
  })

  it('issues tell how many traces have them, and those of more traces come first', async () => {
    const seen = await session.run(`
      from mlflow.entities.assessment import IssueReference
      exp = mlflow.set_experiment('counted issues').experiment_id
      @mlflow.trace
      def asked(q):
          return q
      for i in range(3):
          asked(i)
      mlflow.flush_trace_async_logging()
      ids = [t.info.trace_id for t in mlflow.search_traces(locations=[exp], return_type='list')]
      few, many, none = [store.create_issue(exp, name, name) for name in ('few', 'many', 'none')]
      for issue, traces in ((few, ids[:1]), (many, ids + ids[:1])):
          for trace_id in traces:
              store.create_assessment(IssueReference(issue_id=issue.issue_id, issue_name=issue.name, trace_id=trace_id))
      first = store.search_issues(experiment_id=exp, include_trace_count=True, max_results=1)
      rest = store.search_issues(experiment_id=exp, include_trace_count=True, page_token=first.token)
      result = [[(i.name, i.trace_count) for i in [*first, *rest]], store.search_issues(experiment_id=exp)[0].trace_count]
    `)
    expect(seen).toEqual([
      [
        ['many', 3],
        ['few', 1],
        ['none', 0],
      ],
      null,
    ])
  })

  it('review queues of people and tasks: traces go in, are reviewed once, and come out', async () => {
    const seen = await session.run(`
      from mlflow.genai import label_schemas as ls
      exp = mlflow.set_experiment('reviewing').experiment_id
      @mlflow.trace
      def answer(q):
          return q
      for i in range(3):
          answer(i)
      mlflow.flush_trace_async_logging()
      ids = [t.info.trace_id for t in mlflow.search_traces(locations=[exp], return_type='list')]
      schema = store.create_label_schema(exp, name='Right?', type='feedback', input=ls.InputPassFail('yes', 'no'))
      mine = store.get_or_create_user_queue(exp, user=' Ann ')
      again = store.get_or_create_user_queue(exp, user='ann')
      task = store.create_review_queue(exp, name='Task', queue_type='custom', users=['Bob', 'ann'], schema_ids=[schema.schema_id])
      def refused(act):
          try:
              act()
          except mlflow.MlflowException as e:
              return e.error_code
      taken = refused(lambda: store.create_review_queue(exp, name='TASK', queue_type='custom'))
      ghost = refused(lambda: store.add_items_to_review_queue(task.queue_id, item_ids=['tr-none']))
      added = store.add_items_to_review_queue(task.queue_id, item_ids=ids)
      store.add_items_to_review_queue(mine.queue_id, item_ids=ids[:1])
      locked = refused(lambda: store.update_review_queue(task.queue_id, schema_ids=[]))
      renamed = store.update_review_queue(task.queue_id, name='Job', users=['carl'])
      done = store.set_review_queue_item_status(task.queue_id, item_id=ids[0], status='complete', completed_by='Carl')
      twice = store.set_review_queue_item_status(task.queue_id, item_id=ids[0], status='complete', completed_by='zoe')
      left = store.list_review_queue_items(task.queue_id, status='pending', max_results=1)
      rest = store.list_review_queue_items(task.queue_id, status='pending', max_results=5, page_token=left.token)
      reopened = store.set_review_queue_item_status(task.queue_id, item_id=ids[0], status='pending')
      store.remove_items_from_review_queue(task.queue_id, item_ids=ids[1:2])
      client.delete_traces(exp, trace_ids=ids[2:])
      names = lambda found: [q.name for q in found]
      listed = [names(store.list_review_queues(exp)), names(store.list_review_queues(exp, user='CARL')), names(store.list_review_queues(exp, item_id=ids[0]))]
      items = [i.item_id == ids[0] for i in store.list_review_queue_items(task.queue_id)]
      store.delete_review_queue(task.queue_id)
      result = [mine.name, mine.users, again.queue_id == mine.queue_id, task.users, task.schema_ids == [schema.schema_id], taken, ghost,
                [str(i.status) for i in added], locked, renamed.name, renamed.users, done.completed_by, twice.completed_by, len(left) + len(rest),
                reopened.completed_by, listed, items, refused(lambda: store.get_review_queue(task.queue_id))]
    `)
    expect(seen).toEqual([
      'ann',
      ['ann'],
      true,
      ['ann', 'bob'],
      true,
      'RESOURCE_ALREADY_EXISTS',
      'RESOURCE_DOES_NOT_EXIST',
      ['pending', 'pending', 'pending'],
      'INVALID_PARAMETER_VALUE',
      'Job',
      ['carl'],
      'carl',
      'carl',
      2,
      null,
      [['Job', 'ann'], ['Job'], ['Job', 'ann']],
      [true],
      'RESOURCE_DOES_NOT_EXIST',
    ])
  })
})
