export async function GET(request, { params }) {
  const { slug } = await params;
  return Response.json({ slug, agent: request.headers.get('x-agent') });
}

export async function POST(request) {
  return new Response(request.body, { status: 202, headers: { 'x-streamed': 'yes' } });
}
