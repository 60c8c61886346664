import { BlockList, isIP, isIPv4 } from 'node:net'

/**
 * Whether an address belongs to the public internet: what a webhook may reach unless the owner allows more. Everything else
 * (this machine, private networks, a cloud's metadata at 169.254.169.254, documentation, multicast) is refused; an IPv4 address
 * inside an IPv6 one counts as itself. Source: IANA's special-purpose registries, as Python's ipaddress.is_global reads them.
 */
export function isPublicAddress(address: string): boolean {
  const plain = address.replace(/%.*$/, '')
  if (isIP(plain) === 0) return false
  if (isIPv4(plain)) return !notPublic.check(plain, 'ipv4')
  const inner = innerIpv4(plain)
  return inner === undefined ? !notPublic.check(plain, 'ipv6') : !notPublic.check(inner, 'ipv4')
}

const notPublic = new BlockList()
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const)
  notPublic.addSubnet(network, prefix, 'ipv4')
for (const [network, prefix] of [
  ['::', 128],
  ['::1', 128],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['3fff::', 20],
  ['5f00::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const)
  notPublic.addSubnet(network, prefix, 'ipv6')

/** IPv4-mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96) and 6to4 (2002::/16) carry an IPv4 address. */
function innerIpv4(address: string): string | undefined {
  const groups = groupsOf(address)
  const [high, low] =
    groups[0] === 0x2002
      ? [groups[1]!, groups[2]!]
      : isMapped(groups) || isNat64(groups)
        ? [groups[6]!, groups[7]!]
        : []
  if (high === undefined || low === undefined) return undefined
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}

const isMapped = (groups: number[]): boolean => groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff

const isNat64 = (groups: number[]): boolean =>
  groups[0] === 0x64 && groups[1] === 0xff9b && groups.slice(2, 6).every((group) => group === 0)

/** The eight numbers of an IPv6 address, whatever its spelling: URL writes it in its shortest form without dots. */
function groupsOf(address: string): number[] {
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [before, after] = canonical.split('::').map((part) => (part === '' ? [] : part.split(':')))
  const tail = after ?? []
  const zeros: string[] = Array.from({ length: 8 - before!.length - tail.length }, () => '0')
  return [...before!, ...zeros, ...tail].map((group) => Number.parseInt(group, 16))
}
