export async function getStaticProps() { return { props: { made: 'at build' }, revalidate: 3600 }; }
export default function Static({ made }) { return <p>made {made}</p>; }
