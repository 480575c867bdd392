import { choice, optionalText, setting } from '../../platform/config.ts';
import { SEALING_MODES } from './codec.ts';

/** How a process seals records: a fragment that the settings of each process spread. The same for all processes of a fleet. */
export const SEALING_SETTINGS = {
  sealingMode: setting({
    env: 'RTVOICE_SEALING_MODE',
    description:
      'Sealing of personal fields. `Off` writes in clear and, with a key ring, reads both: roll it out with the ring first. `Migrating` seals and reads both. `On` refuses what stands in clear: once `rtvoice verify sealing` finds nothing.',
    schema: choice(...SEALING_MODES),
    default: 'Off',
  }),
  keyRing: setting({
    env: 'RTVOICE_KEY_RING',
    description:
      'File with the tenant keys (`rtvoice keys add`), the first wraps, all unwrap; read again when it changes. Needed unless sealing was always off.',
    schema: optionalText,
    default: '-',
  }),
  keyVaultUrl: setting({
    env: 'RTVOICE_KEY_VAULT_URL',
    description: 'Key Vault (or managed HSM) that has wrapped the keys of the ring; `-` for a ring with keys in clear.',
    schema: optionalText,
    default: '-',
  }),
} as const;
