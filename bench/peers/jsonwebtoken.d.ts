declare module 'jsonwebtoken' {
  export function verify(
    token: string,
    secret: string,
    options: { readonly algorithms: readonly string[] },
  ): { readonly sub?: string };
}
