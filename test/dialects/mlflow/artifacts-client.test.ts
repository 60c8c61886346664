import { afterAll, beforeAll, expect, it } from 'vitest'
import { eachDatabase } from '../../support/databases.ts'
import { PythonSession, testPython } from '../../support/python.ts'
import { type MlflowServer, startMlflowServer } from './mlflow-server.ts'

const python = testPython()
const multipart = {
  MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD: 'true',
  MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE: '1000000',
  MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE: '700000',
}

eachDatabase("the real mlflow client's artifacts", (database) => {
  if (!python) return it.skip('needs MODELWRIGHT_TEST_PYTHON')
  let server: MlflowServer
  let session: PythonSession

  beforeAll(async () => {
    server = await startMlflowServer(database)
    session = new PythonSession(python, {
      MLFLOW_TRACKING_URI: server.url,
    })
    await session.run(`
      import hashlib, os, pathlib, tempfile
      import mlflow
      from mlflow import MlflowClient
      from mlflow.exceptions import MlflowException
      from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
      client = MlflowClient()
      def a_run():
          return client.create_run('0').info
      def file_of(size, name='weights.bin'):
          path = pathlib.Path(tempfile.mkdtemp()) / name
          path.write_bytes(os.urandom(size))
          return path
      def digest(path):
          return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    `)
  })

  afterAll(async () => {
    await session?.end()
    await server?.close()
  })

  const partsOfUploads = async () =>
    (await server.db.selectFrom('uploads').select(['path', 'part_count']).orderBy('created_at').execute()).map(
      (row) => [row.path.replace(/^0\/[0-9a-f]+\//, ''), row.part_count],
    )

  it('sends a large file in parts because the server says that it may, and gets the same back', async () => {
    const { sent, got, listed } = await session.run<{ sent: string; got: string; listed: unknown }>(
      `
      info = a_run()
      path = file_of(3_000_001)
      client.log_artifact(info.run_id, str(path), 'models/deep folder')
      repo = get_artifact_repository(info.artifact_uri)
      result = {
        'sent': digest(path),
        'got': digest(client.download_artifacts(info.run_id, 'models/deep folder/weights.bin')),
        'listed': [(f.path, f.file_size) for f in client.list_artifacts(info.run_id, 'models/deep folder')],
      }
      `,
      multipart,
    )
    expect(got).toBe(sent)
    expect(listed).toEqual([['models/deep folder/weights.bin', 3_000_001]])
    expect(await partsOfUploads()).toContainEqual(['artifacts/models/deep folder/weights.bin', 5])
    await server.artifacts.settler.pass()
    expect(
      await session.run(`result = digest(client.download_artifacts(info.run_id, 'models/deep folder/weights.bin'))`),
    ).toBe(sent)
  })

  it('sends parts with the token of a step, for its own run alone', async () => {
    const runId = await session.run<string>(`result = a_run().run_id`)
    const other = await session.run<string>(`result = a_run().run_id`)
    const env = { ...multipart, MLFLOW_TRACKING_TOKEN: server.stepToken(runId) }
    expect(
      await session.run(
        `
        path = file_of(1_500_000, 'own.bin')
        client.log_artifact('${runId}', str(path))
        result = digest(path) == digest(client.download_artifacts('${runId}', 'own.bin'))
        `,
        env,
      ),
    ).toBe(true)
    const { error } = await session.failure(`client.log_artifact('${other}', str(path))`, env)
    expect(error).toContain('403')
    await session.run(`os.environ.pop('MLFLOW_TRACKING_TOKEN')`)
  })

  it('keeps names as they are, and comes back as a folder', async () => {
    expect(
      await session.run(`
        info = a_run()
        root = pathlib.Path(tempfile.mkdtemp())
        names = ['plain.txt', 'with space.txt', 'naïve.txt', '日本語.txt', 'a+b&c=d.txt', '100%.txt', 'sub/ö/deep.txt']
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name, encoding='utf8')
        client.log_artifacts(info.run_id, str(root), 'folder')
        back = pathlib.Path(client.download_artifacts(info.run_id, 'folder'))
        result = sorted(str(p.relative_to(back)) for p in back.rglob('*') if p.is_file() and p.read_text(encoding='utf8') == str(p.relative_to(back))) == sorted(names)
      `),
    ).toBe(true)
  })

  it('falls back to one stream where it was told to download in parts', async () => {
    expect(
      await session.run(
        `
        info = a_run()
        path = file_of(400_000)
        client.log_artifact(info.run_id, path)
        result = digest(client.download_artifacts(info.run_id, 'weights.bin')) == digest(path)
        `,
        { MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD: 'true' },
      ),
    ).toBe(true)
  })

  it('deletes a folder of artifacts, and is refused a path that leaves the run', async () => {
    expect(
      await session.run(`
        info = a_run()
        for name in ('a/x', 'a/y', 'b'):
            client.log_text(info.run_id, name, name + '.txt')
        get_artifact_repository(info.artifact_uri).delete_artifacts('a')
        result = [f.path for f in client.list_artifacts(info.run_id)]
      `),
    ).toEqual(['b.txt'])
    expect((await session.failure(`client.list_artifacts(info.run_id, '../../x')`)).error).toContain('Invalid path')
  })

  it('loads JSON, text and images that it logged', async () => {
    expect(
      await session.run(`
        info = a_run()
        client.log_dict(info.run_id, {'a': [1, 2]}, 'facts.json')
        client.log_text(info.run_id, 'häh', 'note.txt')
        result = [mlflow.artifacts.load_dict(info.artifact_uri + '/facts.json'), mlflow.artifacts.load_text(info.artifact_uri + '/note.txt')]
      `),
    ).toEqual([{ a: [1, 2] }, 'häh'])
  })
})
