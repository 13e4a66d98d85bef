import { NextResponse } from 'next/server';

export const config = { matcher: ['/old', '/static'] };

export function middleware(request) {
  if (request.nextUrl.pathname === '/old') return NextResponse.redirect(new URL('/static', request.url));
  const response = NextResponse.next();
  response.headers.set('x-middleware', 'ran');
  return response;
}
