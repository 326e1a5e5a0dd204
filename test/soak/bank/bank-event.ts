/** What a process of the bank tells. `refused` is any error but 08007: the transfer must not be there. */
export type BankEvent =
  | { readonly kind: 'acknowledged'; readonly id: string }
  | { readonly kind: 'refused' | 'unknown'; readonly id: string; readonly code: string }
  | { readonly kind: 'read'; readonly total: number; readonly moved: number }
  | { readonly kind: 'unread'; readonly code: string };
