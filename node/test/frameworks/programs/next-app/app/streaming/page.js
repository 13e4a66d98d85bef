import { Suspense } from 'react';

export const dynamic = 'force-dynamic';

async function Slow() {
  await new Promise((resolve) => { setTimeout(resolve, 50); });
  return <p>came later</p>;
}

export default function Page() {
  return <main><h1>at once</h1><Suspense fallback={<p>waiting</p>}><Slow /></Suspense></main>;
}
