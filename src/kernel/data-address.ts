/** Whether a host name leads to this machine whatever a name server says: `localhost`, `127.x.x.x`, `[::1]`. */
export const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)

/** What is wrong with an address that data is to come from, as the rest of a sentence that begins with "it"; undefined: nothing. */
export function addressProblem(text: string): string | undefined {
  const url = URL.parse(text)
  if (!url) return 'cannot be read as one'
  if (url.username !== '' || url.password !== '')
    return 'holds a name or password, which would stand in Git; say secret: NAME beside it instead'
  if (url.protocol === 'https:') return undefined
  if (url.protocol === 'http:')
    return isLoopback(url.hostname)
      ? undefined
      : 'is http, where anybody on the way could read and change the data; say https'
  if (url.protocol !== 'file:') return `begins with ${url.protocol}//, but data is read from https:// and file:///`
  if (url.host !== '') return `names the host "${url.host}"; a file lies on the server's own machine: file:///…`
  return url.pathname.endsWith('/') ? 'is a folder; name a file' : undefined
}
