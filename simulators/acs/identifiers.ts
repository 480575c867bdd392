import { isObject } from '../http.ts';
import { badRequest } from './errors.ts';

/** A participant on the wire (CommunicationIdentifierModel). */
export interface Identifier {
  kind: 'phoneNumber' | 'communicationUser' | 'unknown';
  rawId: string;
  phoneNumber?: { value: string };
  communicationUser?: { id: string };
}

/** `+1555…` is a phone number, `8:acs:…` a user. */
export function identifierOf(address: string): Identifier {
  if (address.startsWith('8:'))
    return { kind: 'communicationUser', rawId: address, communicationUser: { id: address } };
  if (/^\+[0-9]{3,20}$/.test(address))
    return { kind: 'phoneNumber', rawId: `4:${address}`, phoneNumber: { value: address } };
  return { kind: 'unknown', rawId: address };
}

export function readIdentifier(value: unknown, field: string): Identifier {
  if (isObject(value)) {
    const { phoneNumber, communicationUser, rawId } = value;
    if (isObject(phoneNumber) && typeof phoneNumber.value === 'string') return identifierOf(phoneNumber.value);
    if (isObject(communicationUser) && typeof communicationUser.id === 'string')
      return identifierOf(communicationUser.id);
    if (typeof rawId === 'string' && rawId !== '') return identifierOf(rawId.replace(/^4:/, ''));
  }
  throw badRequest(`${field} is missing or no identifier.`);
}

/** The address that `identifierOf` takes. */
export const addressOf = ({ rawId }: Identifier): string => rawId.replace(/^4:/, '');
