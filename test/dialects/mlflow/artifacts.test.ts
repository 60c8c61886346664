import { randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eachDatabase } from '../../support/databases.ts'
import { type MlflowServer, startMlflowServer } from './mlflow-server.ts'

const json = { 'content-type': 'application/json' }

eachDatabase("MLflow's artifacts through the door", (database) => {
  let server: MlflowServer
  let runId: string
  let root: string
  beforeAll(async () => {
    server = await startMlflowServer(database)
    const { run } = await post('/api/2.0/mlflow/runs/create', { experiment_id: '0' })
    runId = run.info.run_id
    root = `0/${runId}/artifacts`
  })
  afterAll(() => server.close())

  const post = async (path: string, body: unknown) => {
    const answer = await fetch(server.url + path, { method: 'POST', headers: json, body: JSON.stringify(body) })
    return (await answer.json()) as Record<string, never> & { run: { info: { run_id: string } } }
  }
  const proxied = (path: string) => `${server.url}/api/2.0/mlflow-artifacts/artifacts/${path}`
  const put = (path: string, body: Uint8Array | string) =>
    fetch(proxied(path), { method: 'PUT', body: body as Uint8Array<ArrayBuffer> })
  const listed = async (path: string) => {
    const answer = await fetch(`${server.url}/api/2.0/mlflow-artifacts/artifacts?path=${encodeURIComponent(path)}`)
    return ((await answer.json()) as { files: { path: string }[] }).files.map((file) => file.path)
  }
  /** As sent: fetch would tidy up a path with dots. */
  const raw = (method: string, path: string) =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const { port } = new URL(server.url)
      const asked = httpRequest({ port, host: '127.0.0.1', method, path }, (answer) => {
        let body = ''
        answer.on('data', (chunk) => (body += chunk))
        answer.on('end', () => resolve({ status: answer.statusCode!, body }))
      })
      asked.on('error', reject)
      if (method === 'POST') asked.setHeader('content-type', 'application/json')
      asked.end(method === 'PUT' ? 'x' : method === 'POST' ? '{"path": "x", "num_parts": 1}' : undefined)
    })

  describe('files', () => {
    it.each([
      ['a.txt', 'text/plain', 'a.txt'],
      ['b.pkl', 'application/octet-stream', 'b.pkl'],
      ['c.png', 'image/png', 'c.png'],
      ['d.pdf', 'application/pdf', 'd.pdf'],
      ['MLmodel', 'text/plain', 'MLmodel'],
      ['page.html', 'text/html', 'page.html'],
      ['vector.svg', 'image/svg+xml', 'vector.svg'],
      ['all.tar.gz', 'application/x-tar', 'all.tar.gz'],
      ['no extension', 'application/octet-stream', '"no extension"'],
      ['naïve.txt', 'text/plain', "naive.txt; filename*=UTF-8''na%C3%AFve.txt"],
      ['日本', 'application/octet-stream', "download; filename*=UTF-8''%E6%97%A5%E6%9C%AC"],
    ])('%j is sent as %s, as an attachment that no browser shows or guesses at', async (name, type, filename) => {
      await put(`${root}/types/${encodeURIComponent(name)}`, '<script>')
      for (const url of [
        proxied(`${root}/types/${encodeURIComponent(name)}`),
        `${server.url}/get-artifact?run_id=${runId}&path=${encodeURIComponent(`types/${name}`)}`,
      ]) {
        const answer = await fetch(url)
        expect(await answer.text()).toBe('<script>')
        expect(answer.headers.get('content-type')).toBe(type)
        expect(answer.headers.get('content-disposition')).toBe(`attachment; filename=${filename}`)
        expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
        expect(answer.headers.get('content-security-policy')).toBe('sandbox')
      }
    })

    it('answers HEAD with the size and no body', async () => {
      await put(`${root}/head.bin`, '12345')
      const answer = await fetch(proxied(`${root}/head.bin`), { method: 'HEAD' })
      expect([answer.status, answer.headers.get('content-length'), await answer.text()]).toEqual([200, '5', ''])
    })

    it.each([
      ['bytes=2-4', 206, '234', 'bytes 2-4/10'],
      ['bytes=7-', 206, '789', 'bytes 7-9/10'],
      ['bytes=-2', 206, '89', 'bytes 8-9/10'],
      ['bytes=5-99', 206, '56789', 'bytes 5-9/10'],
      ['bytes=10-', 416, '', 'bytes */10'],
      ['lines=1-2', 200, '0123456789', null],
    ])('answers the range %s with %i', async (range, status, body, contentRange) => {
      await put(`${root}/digits`, '0123456789')
      const answer = await fetch(proxied(`${root}/digits`), { headers: { range } })
      expect([answer.status, await answer.text(), answer.headers.get('content-range')]).toEqual([
        status,
        body,
        contentRange,
      ])
    })

    it('keeps large ones byte for byte, before and after they have a digest, also in ranges', async () => {
      const bytes = randomBytes(3_500_000)
      await put(`${root}/large`, bytes)
      const same = async () => {
        expect(Buffer.from(await (await fetch(proxied(`${root}/large`))).arrayBuffer()).equals(bytes)).toBe(true)
        const part = await fetch(proxied(`${root}/large`), { headers: { range: 'bytes=1048570-1048585' } })
        expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(1_048_570, 1_048_586))).toBe(true)
      }
      await same()
      await server.artifacts.settler.pass()
      await same()
      expect((await server.artifacts.files.treeUnder(root)).files.find((file) => file.path === 'large')?.size).toBe(
        3_500_000,
      )
    })

    it('tells a folder from a file that is not there', async () => {
      await put(`${root}/folder/inside`, 'x')
      const folder = await fetch(`${server.url}/get-artifact?run_id=${runId}&path=folder`)
      expect([folder.status, await folder.json()]).toMatchObject([
        400,
        {
          error_code: 'INVALID_PARAMETER_VALUE',
          message: `Artifact path refers to a directory, not a file: '${root}/folder'`,
        },
      ])
      const missing = await fetch(`${server.url}/get-artifact?run_id=${runId}&path=missing`)
      expect([missing.status, await missing.json()]).toMatchObject([404, { error_code: 'RESOURCE_DOES_NOT_EXIST' }])
    })

    it('refuses a path whose parent is a file', async () => {
      await put(`${root}/plain`, 'x')
      const answer = await put(`${root}/plain/below`, 'y')
      expect([answer.status, await answer.json()]).toMatchObject([409, { error_code: 'RESOURCE_CONFLICT' }])
    })

    it('keeps one of two uploads to a path that come at once, whole', async () => {
      const [one, two] = [Buffer.alloc(2_000_000, '1'), Buffer.alloc(2_100_000, '2')]
      const answers = await Promise.all([put(`${root}/raced`, one), put(`${root}/raced`, two)])
      expect(answers.map((answer) => answer.status)).toEqual([200, 200])
      await server.artifacts.settler.pass()
      const kept = Buffer.from(await (await fetch(proxied(`${root}/raced`))).arrayBuffer())
      expect(kept.equals(one) || kept.equals(two)).toBe(true)
    })

    it('shows nothing of an upload whose sender went away half-way', async () => {
      const { port } = new URL(server.url)
      await new Promise<void>((resolve) => {
        const socket = connect(Number(port), '127.0.0.1', () => {
          socket.write(`PUT /api/2.0/mlflow-artifacts/artifacts/${root}/half HTTP/1.1\r\nHost: localhost:${port}\r\n`)
          socket.write('Content-Length: 5000000\r\n\r\n')
          socket.write(Buffer.alloc(2_000_000), () => socket.destroy())
        })
        socket.on('close', () => resolve())
      })
      expect((await fetch(proxied(`${root}/half`))).status).toBe(404)
      expect(await listed(root)).not.toContain('half')
    })
  })

  describe('paths that would leave the store', () => {
    const spellings = [
      '../up',
      'a/../../up',
      '%2e%2e/up',
      '%252e%252e%252fup',
      '..%2fup',
      '..%5cup',
      'a%5c..%5cup',
      '%2Fetc%2Fpasswd',
      '/etc/passwd',
      'C:%5cWindows',
      'c:/Windows',
      'file:/etc/passwd',
      'a%00b',
      'a%23b',
      './a',
      'a//b',
    ]
    it.each(spellings)('%s is refused, written, read, removed, listed and begun in parts', async (spelling) => {
      const path = `/api/2.0/mlflow-artifacts/artifacts/${spelling}`
      for (const method of ['PUT', 'GET', 'DELETE']) {
        const { status, body } = await raw(method, path)
        expect([method, status, JSON.parse(body).error_code]).toEqual([method, 400, 'INVALID_PARAMETER_VALUE'])
      }
      const list = await raw('GET', `/api/2.0/mlflow-artifacts/artifacts?path=${spelling}`)
      expect([list.status, JSON.parse(list.body).error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE'])
      const begun = await post(`/api/2.0/mlflow-artifacts/mpu/create/${root}`, { path: 'x', num_parts: 1 })
      expect(begun).toHaveProperty('upload_id')
      const mpu = await raw('POST', `/api/2.0/mlflow-artifacts/mpu/create/${spelling}`)
      expect(mpu.status).toBe(400)
    })

    it('refuses an address that is no UTF-8', async () => {
      const { status } = await raw('PUT', `/api/2.0/mlflow-artifacts/artifacts/${root}/%ff%fe`)
      expect(status).toBe(400)
    })
  })

  describe('an upload in parts', () => {
    type Begun = { upload_id: string; credentials: { url: string; part_number: number; headers: object }[] }
    const mpu = (action: string, body: object, folder = root) =>
      fetch(`${server.url}/api/2.0/mlflow-artifacts/mpu/${action}/${folder}`, {
        method: 'POST',
        headers: json,
        body: JSON.stringify(body),
      })
    const begin = async (path: string, parts: number) =>
      (await (await mpu('create', { path, num_parts: parts })).json()) as Begun
    const send = (url: string, body: Uint8Array) => fetch(url, { method: 'PUT', body: body as Uint8Array<ArrayBuffer> })
    const code = async (answer: Response) => [
      answer.status,
      ((await answer.json()) as { error_code: string }).error_code,
    ]

    it('becomes one artifact, whatever the order of the parts, and shows nothing before it is complete', async () => {
      const bytes = randomBytes(2_500_000)
      const { upload_id, credentials } = await begin('/home/somebody/weights 100%.bin', 3)
      const cuts = [bytes.subarray(0, 1_000_000), bytes.subarray(1_000_000, 2_000_000), bytes.subarray(2_000_000)]
      const etags: Record<number, string> = {}
      for (const number of [3, 1, 2, 2]) {
        const sent = number === 2 && !etags[2] ? randomBytes(77) : cuts[number - 1]!
        const answer = await send(credentials[number - 1]!.url, sent)
        expect(answer.status).toBe(200)
        etags[number] = answer.headers.get('etag')!
      }
      expect(await listed(root)).not.toContain('weights 100%.bin')
      const parts = [1, 2, 3].map((part_number) => ({ part_number, etag: etags[part_number], url: null }))
      const done = { path: '/home/somebody/weights 100%.bin', upload_id, parts }
      expect((await mpu('complete', done)).status).toBe(200)
      const download = proxied(`${root}/weights%20100%25.bin`)
      expect(Buffer.from(await (await fetch(download)).arrayBuffer()).equals(bytes)).toBe(true)
      const across = await fetch(download, { headers: { range: 'bytes=999990-1000009' } })
      expect(Buffer.from(await across.arrayBuffer()).equals(bytes.subarray(999_990, 1_000_010))).toBe(true)
      await server.artifacts.settler.pass()
      expect(Buffer.from(await (await fetch(download)).arrayBuffer()).equals(bytes)).toBe(true)
      expect((await mpu('complete', done)).status).toBe(200)
    })

    it('is refused when a part is missing, unknown, told wrongly or cut short, and can still be completed then', async () => {
      const { upload_id, credentials } = await begin('x.bin', 2)
      const etag = async (index: number) =>
        (await send(credentials[index]!.url, Buffer.from(`part ${index}`))).headers.get('etag')
      const first = await etag(0)
      const complete = (parts: object[]) => mpu('complete', { path: 'x.bin', upload_id, parts })
      const invalid = [400, 'INVALID_PARAMETER_VALUE']
      expect(await code(await complete([{ part_number: 1, etag: first }]))).toEqual(invalid)
      const absent = { part_number: 2, etag: first }
      expect(await code(await complete([{ part_number: 1, etag: first }, absent]))).toEqual(invalid)
      const second = await etag(1)
      const wrong = { part_number: 2, etag: '"00000000"' }
      expect(await code(await complete([{ part_number: 1, etag: first }, wrong]))).toEqual(invalid)
      expect(
        await code(await send(credentials[0]!.url.replace('part_number=1', 'part_number=3'), Buffer.from('x'))),
      ).toEqual(invalid)
      expect(await listed(root)).not.toContain('x.bin')
      const both = [
        { part_number: 1, etag: first },
        { part_number: 2, etag: second },
      ]
      expect((await complete(both)).status).toBe(200)
      expect(await (await fetch(proxied(`${root}/x.bin`))).text()).toBe('part 0part 1')
    })

    it('is gone when it was aborted, and known only under the path that it was begun for', async () => {
      const { upload_id, credentials } = await begin('gone.bin', 1)
      const elsewhere = credentials[0]!.url.replace('gone.bin', 'other.bin')
      expect(await code(await send(elsewhere, Buffer.from('x')))).toEqual([404, 'RESOURCE_DOES_NOT_EXIST'])
      expect((await send(credentials[0]!.url, Buffer.from('x'))).status).toBe(200)
      expect((await mpu('abort', { path: 'gone.bin', upload_id })).status).toBe(200)
      for (const answer of [
        await send(credentials[0]!.url, Buffer.from('x')),
        await mpu('abort', { path: 'gone.bin', upload_id }),
        await mpu('complete', { path: 'gone.bin', upload_id, parts: [{ part_number: 1, etag: 'x' }] }),
      ])
        expect(await code(answer)).toEqual([404, 'RESOURCE_DOES_NOT_EXIST'])
    })

    it.each([0, -1, 10_001])('cannot be begun with %i parts', async (parts) => {
      expect(await code(await mpu('create', { path: 'x', num_parts: parts }))).toEqual([400, 'INVALID_PARAMETER_VALUE'])
    })

    it('may be made by a step for its own run alone, with the credential that came with the request', async () => {
      const authorization = `Bearer ${server.stepToken(runId)}`
      const ask = (folder: string) =>
        fetch(`${server.url}/api/2.0/mlflow-artifacts/mpu/create/${folder}`, {
          method: 'POST',
          headers: { ...json, authorization },
          body: JSON.stringify({ path: 'own.bin', num_parts: 1 }),
        })
      const own = (await (await ask(root)).json()) as Begun
      expect(own.credentials[0]!.headers).toEqual({ Authorization: authorization })
      const other = await post('/api/2.0/mlflow/runs/create', { experiment_id: '0' })
      expect(await code(await ask(`0/${other.run.info.run_id}/artifacts`))).toEqual([403, 'PERMISSION_DENIED'])
    })

    it('gives addresses under the name by which a proxy was called', async () => {
      const answer = await fetch(`${server.url}/api/2.0/mlflow-artifacts/mpu/create/${root}`, {
        method: 'POST',
        headers: {
          ...json,
          'x-forwarded-proto': 'https',
          'x-forwarded-host': 'ml.example',
          'x-forwarded-prefix': '/models',
        },
        body: JSON.stringify({ path: 'p.bin', num_parts: 1 }),
      })
      const { credentials } = (await answer.json()) as Begun
      expect(credentials[0]!.url).toMatch(/^https:\/\/ml\.example\/models\/api\/2\.0\/mlflow-artifacts\/mpu\/parts\//)
    })
  })

  describe('what the stock page sends', () => {
    const upload = (query: string, body: string | Uint8Array) =>
      fetch(`${server.url}/ajax-api/2.0/mlflow/upload-artifact?${query}`, {
        method: 'POST',
        body: body as Uint8Array<ArrayBuffer>,
      })
    it('lands in the run', async () => {
      expect((await upload(`run_uuid=${runId}&path=page/a.json`, '{"a": 1}')).status).toBe(200)
      expect(await (await fetch(proxied(`${root}/page/a.json`))).text()).toBe('{"a": 1}')
    })
    it.each([
      ['path=a', 'x', 'Request must specify run_uuid.'],
      ['run_uuid=RUN', 'x', 'Request must specify path.'],
      ['run_uuid=RUN&path=a', '', 'Request must specify data.'],
      ['run_uuid=RUN&path=../a', 'x', 'Invalid path'],
      ['run_uuid=RUN&path=a', Buffer.alloc(10 * 1024 * 1024 + 1), 'Artifact size is too large. Max size is 10MB.'],
    ])('is refused with %s', async (query, body, message) => {
      const answer = await upload(query.replace('RUN', runId), body)
      expect([answer.status, await answer.json()]).toMatchObject([
        400,
        { error_code: 'INVALID_PARAMETER_VALUE', message },
      ])
    })
  })

  it('signs no addresses of a foreign store, in the words that clients know', async () => {
    const answer = await fetch(`${server.url}/api/2.0/mlflow-artifacts/presigned/${root}/a`)
    expect([answer.status, await answer.json()]).toMatchObject([
      501,
      {
        error_code: 'NOT_IMPLEMENTED',
        message: 'Multipart download is not supported for the current artifact repository',
      },
    ])
    expect(await post('/api/2.0/mlflow/artifacts/presigned-download-url', { run_id: runId, path: 'a' })).toMatchObject({
      error_code: 'INVALID_PARAMETER_VALUE',
      message: expect.stringMatching(/^Presigned download is not supported for runs with proxied artifact storage/),
    })
    expect(await post('/api/2.0/mlflow/artifacts/presigned-upload-url', { path: 'a' })).toMatchObject({
      message: 'Exactly one of run_id and model_id must be provided.',
    })
  })
})
