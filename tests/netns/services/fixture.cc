#include "tests/netns/services/fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/net/netns.h"

namespace sluice::test {
namespace {

struct Name {
  sockaddr_storage bytes{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&bytes); }
};

Name NameOf(const std::string& ip, std::uint16_t port) {
  Name name;
  sockaddr_in in{};
  if (inet_pton(AF_INET, ip.c_str(), &in.sin_addr) == 1) {
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&name.bytes, &in, name.size = sizeof(in));
    return name;
  }
  sockaddr_in6 in6{};
  EXPECT_EQ(inet_pton(AF_INET6, ip.c_str(), &in6.sin6_addr), 1) << ip;
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(port);
  std::memcpy(&name.bytes, &in6, name.size = sizeof(in6));
  return name;
}

std::pair<std::string, std::uint16_t> TextOf(const sockaddr_storage& name) {
  char text[INET6_ADDRSTRLEN] = "";
  if (name.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(name);
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
    return {text, ntohs(in.sin_port)};
  }
  if (name.ss_family != AF_INET6) return {};
  const auto& in6 = reinterpret_cast<const sockaddr_in6&>(name);
  inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text));
  return {text, ntohs(in6.sin6_port)};
}

}  // namespace

policy::Address ServicesFixture::AddressOf(const std::string& ip) {
  const auto address = policy::Address::Parse(ip);
  EXPECT_TRUE(address.ok()) << address.status();
  return address.ok() ? *address : policy::Address();
}

void ServicesFixture::SetUp() {
  DatapathFixture::SetUp();
  if (IsSkipped() || HasFatalFailure()) return;
  Build({.wiring = wiring_, .pods = {"web", "db", "other"}, .outside = outside_});
  if (HasFatalFailure()) return;
  DatapathFixture::Open();
  Enforce();
  // The packet path translates too: without it, only the programs at sockets do.
  const Status detached = node_->Run([&] {
    Status all = OkStatus();
    for (const TestPod& pod : node_->pods()) all.Update(datapath_->DetachPod(pod.host_ifindex));
    return all;
  });
  ASSERT_TRUE(detached.ok()) << detached;
  db_tcp_ = Serve("db", SOCK_STREAM);
  other_tcp_ = Serve("other", SOCK_STREAM);
  db_udp_ = Serve("db", SOCK_DGRAM);
  other_udp_ = Serve("other", SOCK_DGRAM);
  if (CookieOf("web") == 0) GTEST_SKIP() << "the kernel lacks SO_NETNS_COOKIE (5.14)";
  SetClients({"web"});
  StartPrograms();
}

void ServicesFixture::TearDown() {
  programs_.reset();
  DatapathFixture::TearDown();
}

void ServicesFixture::StartPrograms() {
  programs_.reset();
  auto programs = bpf::ServicePrograms::Start(root());
  ASSERT_TRUE(programs.ok()) << programs.status();
  programs_ = *std::move(programs);
}

Status ServicesFixture::TryPut(const std::vector<TestService>& services) {
  auto table = std::make_shared<policy::ServiceTable>();
  for (const TestService& one : services) {
    policy::ServiceEntry entry{.service = {"shop", one.name},
                               .port_name = "main",
                               .affinity = std::chrono::seconds(one.affinity),
                               .backends = {}};
    const policy::Address address = AddressOf(one.address.ip);
    for (const std::string& pod : one.pods)
      entry.backends.push_back({AddressOf(address.is_v4() ? Pod(pod).ip4 : Pod(pod).ip6), kTarget});
    for (const End& end : one.ends) entry.backends.push_back({AddressOf(end.ip), end.port});
    std::ranges::sort(entry.backends);
    entry.backends.erase(std::unique(entry.backends.begin(), entry.backends.end()), entry.backends.end());
    (*table)[{address, one.address.port, one.protocol}] = std::move(entry);
  }
  return datapath_->services().Set(std::move(table));
}

void ServicesFixture::Put(const std::vector<TestService>& services) {
  const Status put = TryPut(services);
  ASSERT_TRUE(put.ok()) << put;
}

std::uint64_t ServicesFixture::CookieOf(const std::string& pod) const {
  const Fd socket = Open(pod, AF_INET, SOCK_DGRAM);
  const auto cookie = net::NetNsCookie(socket.get());
  EXPECT_TRUE(cookie.ok()) << cookie.status();
  return cookie.ok() ? *cookie : 0;
}

void ServicesFixture::SetClients(const std::vector<std::string>& pods) {
  std::map<std::uint64_t, std::uint64_t> clients;
  for (const std::string& pod : pods) clients[CookieOf(pod)] = 1;
  const Status set = datapath_->services().SetClients(clients);
  ASSERT_TRUE(set.ok()) << set;
}

Fd ServicesFixture::Open(const std::string& pod, int family, int type, std::chrono::seconds patience) const {
  Fd fd;
  const Status opened = node_->RunIn(Pod(pod), [&]() -> Status {
    fd = Fd(socket(family, type | SOCK_CLOEXEC, 0));
    const timeval longest{.tv_sec = patience.count(), .tv_usec = 0};
    if (!fd.valid() || setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof(longest)) != 0 ||
        setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof(longest)) != 0)
      return ErrnoError(errno, "open a socket in {}", pod);
    return OkStatus();
  });
  EXPECT_TRUE(opened.ok()) << opened;
  return fd;
}

Fd ServicesFixture::Serve(const std::string& pod, int type, std::uint16_t port) const {
  Fd fd = Open(pod, AF_INET6, type);
  const Name any = NameOf("::", port);
  EXPECT_EQ(bind(fd.get(), any.get(), any.size), 0) << strerror(errno);
  if (type == SOCK_STREAM) {
    EXPECT_EQ(listen(fd.get(), 4096), 0) << strerror(errno);
  }
  return fd;
}

ServicesFixture::End ServicesFixture::In(const std::string& pod, int family) const {
  return {family == AF_INET ? Pod(pod).ip4 : Pod(pod).ip6, kTarget};
}

int ServicesFixture::Connect(const Fd& socket, const End& to) {
  const Name name = NameOf(to.ip, to.port);
  return connect(socket.get(), name.get(), name.size) == 0 ? 0 : errno;
}

int ServicesFixture::Send(const Fd& socket, const End& to, const std::string& text) {
  const Name name = NameOf(to.ip, to.port);
  return sendto(socket.get(), text.data(), text.size(), MSG_NOSIGNAL, name.get(), name.size) >= 0 ? 0 : errno;
}

int ServicesFixture::Send(const Fd& socket, const std::string& text) {
  return send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL) >= 0 ? 0 : errno;
}

int ServicesFixture::Disconnect(const Fd& socket) {
  sockaddr none{};
  none.sa_family = AF_UNSPEC;
  return connect(socket.get(), &none, sizeof(none)) == 0 ? 0 : errno;
}

ServicesFixture::End ServicesFixture::PeerOf(const Fd& socket) {
  sockaddr_storage name{};
  socklen_t size = sizeof(name);
  if (getpeername(socket.get(), reinterpret_cast<sockaddr*>(&name), &size) != 0) return {strerror(errno), 0};
  const auto [ip, port] = TextOf(name);
  return {ip, port};
}

ServicesFixture::Datagram ServicesFixture::Receive(const Fd& socket, int flags) {
  char text[64];
  sockaddr_storage name{};
  socklen_t size = sizeof(name);
  const ssize_t got = recvfrom(socket.get(), text, sizeof(text), flags, reinterpret_cast<sockaddr*>(&name), &size);
  if (got < 0) return {};
  const auto [ip, port] = TextOf(name);
  return {std::string(text, static_cast<std::size_t>(got)), {ip, port}};
}

const Fd* ServicesFixture::FirstReached(std::initializer_list<const Fd*> servers, std::chrono::milliseconds patience) {
  std::vector<pollfd> polled;
  for (const Fd* server : servers) polled.push_back({server->get(), POLLIN, 0});
  if (poll(polled.data(), polled.size(), static_cast<int>(patience.count())) <= 0) return nullptr;
  const auto first = std::find_if(polled.begin(), polled.end(), [](const pollfd& one) { return one.revents != 0; });
  return servers.begin()[first - polled.begin()];
}

bool ServicesFixture::Answer(const Fd& server) {
  if (FirstReached({&server}) == nullptr) return false;
  char text[64];
  sockaddr_storage name{};
  socklen_t size = sizeof(name);
  if (recvfrom(server.get(), text, sizeof(text), 0, reinterpret_cast<sockaddr*>(&name), &size) < 0) return false;
  return sendto(server.get(), "answer", 6, 0, reinterpret_cast<sockaddr*>(&name), size) == 6;
}

bool ServicesFixture::Accept(const Fd& listener) {
  if (FirstReached({&listener}) == nullptr) return false;
  return Fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)).valid();
}

}  // namespace sluice::test
