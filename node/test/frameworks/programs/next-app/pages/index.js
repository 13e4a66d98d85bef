import Image from 'next/image';

export async function getServerSideProps({ req, query }) {
  return { props: { method: req.method, host: req.headers.host.split(':')[0], q: query.q || null } };
}

export default function Home({ method, host, q }) {
  return (
    <main>
      <h1>Next on {host}</h1>
      <p>{method} {q}</p>
      <Image src="/picture.png" alt="a picture" width={64} height={64} />
    </main>
  );
}
