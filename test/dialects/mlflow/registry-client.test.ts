import { afterAll, beforeAll, expect, it } from 'vitest'
import { eachDatabase } from '../../support/databases.ts'
import { PythonSession, testPython } from '../../support/python.ts'
import { type MlflowServer, startMlflowServer } from './mlflow-server.ts'
import { startReceiver, type WebhookReceiver } from './webhook-receiver.ts'

const python = testPython()

eachDatabase('the registry through the real mlflow client', (database) => {
  if (!python) return it.skip('needs MODELWRIGHT_TEST_PYTHON')
  let server: MlflowServer
  let receiver: WebhookReceiver
  let session: PythonSession

  beforeAll(async () => {
    server = await startMlflowServer(database)
    receiver = await startReceiver()
    session = new PythonSession(python, {
      MLFLOW_TRACKING_URI: server.url,
    })
    await session.run(`
      import os, mlflow, mlflow.genai as genai
      from mlflow import MlflowClient
      from mlflow.entities.webhook import WebhookEvent
      client = MlflowClient()
      with mlflow.start_run() as run:
          mlflow.log_text('weights', 'model/weights.txt')
      rid = run.info.run_id
    `)
  })

  afterAll(async () => {
    await session?.end()
    await receiver?.close()
    await server?.close()
  })

  it('makes, reads, renames and deletes models', async () => {
    const seen = await session.run(`
      m = client.create_registered_model('life', {'k': 'v', 'number': 5}, 'first')
      made = [m.tags, m.description, m.latest_versions]
      client.update_registered_model('life', 'second')
      client.set_registered_model_tag('life', 'empty', '')
      client.delete_registered_model_tag('life', 'k')
      client.rename_registered_model('life', 'life 2')
      m = client.get_registered_model('life 2')
      found = [r.name for r in client.search_registered_models("name LIKE 'life%'")]
      client.delete_registered_model('life 2')
      result = made + [m.tags, m.description, found, len(client.search_registered_models("name LIKE 'life%'"))]
    `)
    expect(seen).toEqual([{ k: 'v', number: '5' }, 'first', [], { number: '5', empty: '' }, 'second', ['life 2'], 0])
    const failure = await session.failure(`client.get_registered_model('life')`)
    expect(failure).toMatchObject({
      errorCode: 'RESOURCE_DOES_NOT_EXIST',
      error: expect.stringContaining('Registered Model with name=life not found') as string,
    })
  })

  it('keeps the source that the client gave, whether or not the run is there', async () => {
    const seen = await session.run<[Record<string, unknown>, string]>(`
      client.create_registered_model('sources')
      v = client.create_model_version('sources', 'runs:/abc/model', 'abc', tags={'n': 1}, description='d')
      described = dict(name=v.name, version=v.version, stage=v.current_stage, source=v.source, run=v.run_id,
                         description=v.description, tags=v.tags, aliases=list(v.aliases))
      result = [described, client.get_model_version_download_uri('sources', '1')]
    `)
    expect(seen).toEqual([
      {
        name: 'sources',
        version: '1',
        stage: 'None',
        source: 'runs:/abc/model',
        run: 'abc',
        description: 'd',
        tags: { n: '1' },
        aliases: [],
      },
      'runs:/abc/model',
    ])
  })

  it('copies a version by its alias, and both lead to the same files', async () => {
    const seen = await session.run(`
      client.create_registered_model('original')
      client.create_model_version('original', f'runs:/{rid}/model', rid, tags={'hello': 'world'}, description='d')
      client.set_registered_model_alias('original', 'best', 1)
      copy = client.copy_model_version('models:/original@best', 'copy')
      files = [os.listdir(mlflow.artifacts.download_artifacts(uri)) for uri in ('models:/original@best', 'models:/copy/1')]
      result = [copy.source, copy.run_id == rid, copy.tags, copy.description, files,
                client.get_model_version_download_uri('copy', 1) == f'runs:/{rid}/model']
    `)
    expect(seen).toEqual([
      'models:/original/1',
      true,
      { hello: 'world' },
      'd',
      [['weights.txt'], ['weights.txt']],
      true,
    ])
    const file = await fetch(`${server.url}/model-versions/get-artifact?name=copy&version=1&path=weights.txt`)
    expect(await file.text()).toBe('weights')
  })

  it('knows aliases and stages as MLflow does', async () => {
    const seen = await session.run(`
      client.create_registered_model('staged')
      for n in range(4): client.create_model_version('staged', 's3://bucket/path', 'abc')
      client.transition_model_version_stage('staged', 1, 'staging')
      client.transition_model_version_stage('staged', 2, 'Staging', archive_existing_versions=True)
      client.transition_model_version_stage('staged', 3, 'Production')
      client.set_registered_model_alias('staged', 'Champion', '3')
      latest = {v.current_stage: v.version for v in client.get_latest_versions('staged', stages=None)}
      by_alias = client.get_model_version_by_alias('staged', 'Champion')
      newest = client.get_model_version_by_alias('staged', 'LATEST').version
      client.delete_model_version('staged', 3)
      client.delete_model_version('staged', 4)
      after = client.create_model_version('staged', 's3://bucket/path', 'abc').version
      result = [latest, by_alias.version, list(by_alias.aliases), newest, client.get_registered_model('staged').aliases, after]
    `)
    expect(seen).toEqual([{ Archived: '1', Staging: '2', Production: '3', None: '4' }, '3', ['Champion'], '4', {}, '5'])
    for (const [code, message] of [
      [
        "client.set_registered_model_alias('staged', 'latest', 1)",
        "'latest' alias name (case insensitive) is reserved.",
      ],
      ["client.set_registered_model_alias('staged', 'v7', 1)", "Version alias name 'v7' is reserved."],
      ["client.get_model_version('staged', 'x')", "Parameter 'version' must be an integer, got 'x'."],
      ["client.get_model_version('staged', 3)", 'Model Version (name=staged, version=3) not found'],
      ["client.transition_model_version_stage('staged', 1, 'nowhere')", 'Invalid Model Version stage: nowhere.'],
      ["client.create_model_version('staged', '/etc/passwd')", 'To use a local path as a model version source'],
      ["client.create_model_version('staged', 'https://elsewhere/x', 'abc')", "'source' cannot use the 'https' scheme"],
    ])
      expect((await session.failure(code!)).error, code).toContain(message)
  })

  it('pages through 29 models and 39 versions in order', async () => {
    const seen = await session.run(`
      names = [f'Page{i:03}' for i in range(29)]
      for name in names: client.create_registered_model(name)
      made = [client.create_model_version(name, 'runs:/abc/model', 'abc') for name in names + names[:10]]
      def all_of(page_of):
          found, token = [], None
          while True:
              page = page_of(token)
              found += [(getattr(x, 'name'), getattr(x, 'version', None)) for x in page]
              token = page.token
              if not token: return found
      models = [all_of(lambda t: client.search_registered_models("name ILIKE 'page%'", max_results=n, page_token=t)) for n in (1, 8, 100)]
      versions = all_of(lambda t: client.search_model_versions("name LIKE 'Page%'", max_results=8, page_token=t))
      by_number = all_of(lambda t: client.search_model_versions("name LIKE 'Page%'", max_results=7, order_by=['version_number DESC'], page_token=t))
      result = [all([name for name, _ in found] == names for found in models),
                versions == [(v.name, v.version) for v in reversed(made)],
                by_number == sorted(versions, key=lambda v: (-int(v[1]), v[0]))]
    `)
    expect(seen).toEqual([true, true, true])
  })

  it('registers, loads, searches, tags and links prompts', async () => {
    const seen = await session.run(`
      genai.register_prompt(name='greet', template='Hello {{name}}', commit_message='first', tags={'a': 'b'})
      genai.register_prompt(name='greet', template='Hi {{name}}', commit_message='second')
      genai.register_prompt(name='chat', template=[{'role': 'user', 'content': 'Hi {{n}}'}])
      genai.set_prompt_alias('greet', alias='prod', version=1)
      genai.set_prompt_tag('greet', 'team', 'x')
      genai.set_prompt_version_tag('greet', 1, 'k', 'v')
      by_alias = genai.load_prompt('prompts:/greet@prod')
      with mlflow.start_run() as run:
          genai.load_prompt('greet', version=2)
      result = [
          [p.name for p in genai.search_prompts()],
          [p.name for p in genai.search_prompts(filter_string="tags.team = 'x'")],
          [m.name for m in client.search_registered_models("name IN ('greet', 'chat')")],
          [by_alias.version, by_alias.format(name='Ada'), by_alias.tags, by_alias.commit_message],
          genai.load_prompt('greet').version,
          genai.load_prompt('chat').template,
          genai.load_prompt('greet', version=9, allow_missing=True),
          [(v.version, v.template) for v in client.search_prompt_versions('greet')],
          'greet' in client.get_run(run.info.run_id).data.tags['mlflow.linkedPrompts'],
      ]
    `)
    expect(seen).toEqual([
      ['chat', 'greet'],
      ['greet'],
      [],
      [1, 'Hello Ada', { a: 'b', k: 'v' }, 'first'],
      2,
      [{ role: 'user', content: 'Hi {{n}}' }],
      null,
      [
        [2, 'Hi {{name}}'],
        [1, 'Hello {{name}}'],
      ],
      true,
    ])
    expect((await session.failure(`client.create_registered_model('greet')`)).error).toContain(
      "Tried to create a registered model with name 'greet', but the name is already taken by a prompt.",
    )
    const gone = await session.run(`
      client.delete_prompt_version('greet', '1')
      client.delete_prompt_version('greet', '2')
      client.delete_prompt('greet')
      result = client.get_prompt('greet')
    `)
    expect(gone).toBeNull()
  })

  it('makes, lists, changes, tests and deletes webhooks', async () => {
    const seen = await session.run(`
      hook = client.create_webhook(name='hook', url='${receiver.url}/hook', secret='hush', description='d',
                                   events=['registered_model.created', WebhookEvent('prompt', 'created')])
      others = [client.create_webhook(name=f'w{n}', url='${receiver.url}/other', events=['prompt_alias.deleted']) for n in range(3)]
      page = client.list_webhooks(max_results=3)
      rest = client.list_webhooks(max_results=3, page_token=page.token)
      changed = client.update_webhook(others[0].webhook_id, name='renamed', status='DISABLED', events=['model_version.created'])
      tested = client.test_webhook(hook.webhook_id)
      for other in others: client.delete_webhook(other.webhook_id)
      result = [hook.name, str(hook.status), sorted(str(e) for e in hook.events), hook.description, hook.secret,
                len(page), len(rest), rest.token or None, changed.name, str(changed.status), [str(e) for e in changed.events],
                [tested.success, tested.response_status, tested.error_message], len(client.list_webhooks())]
    `)
    expect(seen).toEqual([
      'hook',
      'ACTIVE',
      ['prompt.created', 'registered_model.created'],
      'd',
      null,
      3,
      1,
      null,
      'renamed',
      'DISABLED',
      ['model_version.created'],
      [true, 200, null],
      1,
    ])
    receiver.received.length = 0
    await session.run(`client.create_registered_model('hooked', {'k': 'v'}, 'told')`)
    await server.deliverWebhooks()
    const [delivery] = receiver.received
    // The receiver's side as MLflow documents it.
    const verified = await session.run(`
      import base64, hashlib, hmac, json
      headers, body = json.loads(${JSON.stringify(JSON.stringify(delivery?.headers))}), ${JSON.stringify(delivery?.body)}
      signed = f"{headers['x-mlflow-delivery-id']}.{headers['x-mlflow-timestamp']}.{body}".encode()
      expected = base64.b64encode(hmac.new(b'hush', signed, hashlib.sha256).digest()).decode()
      result = [headers['x-mlflow-signature'] == f'v1,{expected}', json.loads(body)['data']]
    `)
    expect(verified).toEqual([true, { name: 'hooked', tags: { k: 'v' }, description: 'told' }])
  })
})
