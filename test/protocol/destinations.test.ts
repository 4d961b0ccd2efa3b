/** A ledger's operator names URLs for objects: none may lead into the machine or the link of whoever follows them. */
import { destinationsOf } from "../../protocol/destinations";

const far = destinationsOf("https://ledger.example:8443");
const here = destinationsOf("https://127.0.0.1:8443");

test.each([
  "https://store.example/objects/x?sig=1",
  "https://203.0.113.7:9000/x",
  "https://10.1.2.3/x",
  "https://[2001:db8::1]/x",
  "https://[fd12:3456::1]/x",
  "https://[64:ff9b::203.0.113.7]/x",
  "https://ledger.example:8443/objects/x",
])("%s may be named", (url) => {
  expect(far.urlProblem(url)).toBeUndefined();
});

test.each([
  ["http://store.example/x", /not https/],
  ["http://ledger.example:8443/x", /not https/],
  ["ftp://store.example/x", /not https/],
  ["file:///etc/passwd", /not https/],
  ["https://user:password@store.example/x", /holds a login/],
  ["https://[", /is none/],
  ["https://localhost/x", /loopback/],
  ["https://localhost./x", /loopback/],
  ["https://x.localhost/", /loopback/],
  ["https://127.0.0.1/x", /loopback/],
  ["https://0x7f.1/x", /loopback/],
  ["https://2130706433/x", /loopback/],
  ["https://[::1]/x", /loopback/],
  ["https://[::ffff:127.0.0.1]/x", /loopback/],
  ["https://[::127.0.0.1]/x", /loopback/],
  ["https://[64:ff9b::7f00:1]/x", /loopback/],
  ["https://[2002:7f00:1::]/x", /loopback/],
  ["http://127.0.0.1/x", /loopback/],
  ["https://0.0.0.0/x", /unspecified/],
  ["https://[::]/x", /unspecified/],
  ["https://169.254.169.254/latest/meta-data/", /link-local/],
  ["https://[fe80::1]/x", /link-local/],
  ["https://[febf::1]/x", /link-local/],
  ["https://[::ffff:a9fe:a9fe]/x", /link-local/],
  ["https://168.63.129.16/x", /metadata/],
  ["https://[fd00:ec2::254]/latest/", /metadata/],
  ["https://[fd20:ce::254]/x", /metadata/],
  ["https://224.0.0.1/x", /multicast/],
  ["https://255.255.255.255/x", /multicast/],
  ["https://[ff02::1]/x", /multicast/],
])("%s is refused, and not quoted", (url, problem) => {
  expect(far.urlProblem(url)).toMatch(problem);
  expect(far.urlProblem(url)).not.toContain("store.example");
});

test.each([
  ["127.0.0.1", /loopback/],
  ["::ffff:127.0.0.1", /loopback/],
  ["fe80::1%eth0", /link-local/],
  ["169.254.170.2", /link-local/],
  ["0.0.0.0", /unspecified/],
  ["::", /unspecified/],
  ["fd00:0ec2:0:0:0:0:0:254", /metadata/],
  ["not an address", /no IP address/],
  ["1:2:3", /no IP address/],
  ["1::2::3", /no IP address/],
  ["1:2:3:4:5:6:7:8:9", /no IP address/],
  ["300.1.1.1", /no IP address/],
  ["", /no IP address/],
])("a name that stands for %s is refused when it is connected to", (address, problem) => {
  expect(far.addressProblem(address)).toMatch(problem);
});

test.each(["203.0.113.7", "192.168.1.1", "2001:db8:1:2:3:4:5:6", "::ffff:203.0.113.7", "fe00::1"])(
  "%s is not",
  (address) => {
    expect(far.addressProblem(address)).toBeUndefined();
  },
);

test("a ledger on this machine may name this machine, plain too, and nothing else that others may not", () => {
  for (const url of ["http://127.0.0.1:9000/x", "https://localhost:1/x", "http://[::1]:9000/x"]) {
    expect(here.urlProblem(url)).toBeUndefined();
  }
  expect(here.addressProblem("127.0.0.1")).toBeUndefined();
  for (const url of ["https://169.254.169.254/", "https://0.0.0.0/", "http://store.example/"]) {
    expect(here.urlProblem(url)).toBeDefined();
  }
  expect(destinationsOf("https://localhost:8443").urlProblem("http://127.0.0.1:9000/x")).toBeUndefined();
});
