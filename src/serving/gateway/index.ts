// The gateway: the data plane, a process of its own. It answers predictions from the versions that `desired.json` names and
// journals them; it opens no database, asks no server, and imports nothing of either, so that it stays small and stays up.
// Its own door beside serving/index.ts, which brings the prediction log and with it the database.
export { type GatewayOptions, type RunningGateway, runGateway } from './run-gateway.ts'
