import type { Federation } from "../../platform/federation/Federation.ts"
import type { Users } from "../../platform/users/Users.ts"
import type { Transaction } from "../../postgres/Transaction.ts"
import { type Contract, make } from "../Contract.ts"
import { clients } from "./federation/clients.ts"
import { credentials } from "./federation/credentials.ts"
import { providers } from "./federation/providers.ts"
import { routing } from "./federation/routing.ts"
import { rules } from "./federation/rules.ts"
import { services } from "./federation/services.ts"
import { together } from "./federation/together.ts"

/** What every implementation of `Federation` does, beside the `Users` and under the `Transaction` of the same store. */
export const FederationContract: Contract<Federation | Users | Transaction> = make("Federation", {
  ...clients,
  ...providers,
  ...services,
  ...credentials,
  ...rules,
  ...routing,
  ...together
})
