// Services that change, and agents that come and go.
#include <bpf/bpf.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <thread>

#include "bpf/abi/service.h"
#include "kernel/bpf/link.h"
#include "kernel/bpf/map.h"
#include "kernel/net/udp_socket.h"
#include "tests/netns/services/fixture.h"

namespace sluice::test {
using namespace std::chrono_literals;
namespace {

class FollowServices : public ServicesFixture {
 protected:
  // Where a new connection to kVip arrives.
  std::string Reached() {
    const Fd client = Open("web", AF_INET, SOCK_STREAM);
    const int error = Connect(client, kVip);
    if (error != 0) return strerror(error);
    const Fd* reached = FirstReached({&db_tcp_, &other_tcp_});
    if (reached == nullptr || !Accept(*reached)) return "nowhere";
    return reached == &db_tcp_ ? "db" : "other";
  }

  StatusOr<std::vector<sl_stale_socket>> FindStaleSockets(const std::string& pod) {
    return programs_->FindStaleSockets(bpf::OwnAdminCalls(), node_->netns(Pod(pod)).fd());
  }

  // As if the clients with affinity had been idle for so long.
  void Age(std::chrono::seconds idle) const {
    const auto fd = bpf::OpenPinned(bpf::PinLayout(root()).map("service_affinity"));
    ASSERT_TRUE(fd.ok()) << fd.status();
    const auto map = bpf::Map<sl_affinity_key, sl_affinity>::Bind(fd->get(), "service_affinity");
    ASSERT_TRUE(map.ok()) << map.status();
    std::vector<std::pair<sl_affinity_key, sl_affinity>> entries;
    ASSERT_TRUE(map->ForEach([&](const auto& key, const auto& value) { entries.emplace_back(key, value); }).ok());
    ASSERT_FALSE(entries.empty());
    for (auto& [key, value] : entries) {
      value.used_ns -= static_cast<std::uint64_t>(std::chrono::nanoseconds(idle).count());
      ASSERT_TRUE(map->Put(key, value).ok());
    }
  }

  // 0: it has none.
  std::uint32_t NumberOf(const End& address) const {
    std::uint32_t latest = 0;
    for (std::uint32_t number = 1; number < 100; ++number) {
      const auto name = datapath_->services().Find(number);
      if (name != nullptr && name->address.address.ToString() == address.ip) latest = number;
    }
    return latest;
  }

  std::uint32_t IdOfPin(const std::string& program) const {
    const auto link = bpf::OpenPinned(bpf::PinLayout(root()).services_dir() + "/" + program);
    EXPECT_TRUE(link.ok()) << link.status();
    bpf_link_info info{};
    __u32 size = sizeof(info);
    return link.ok() && bpf_obj_get_info_by_fd(link->get(), &info, &size) == 0 ? info.id : 0;
  }
};

TEST_F(FollowServices, AffinityKeepsABackendForItsTime) {
  Put({{kVip, kTcp, {"db", "other"}, 600}});
  const std::string first = Reached();
  for (int i = 0; i < 16; ++i) EXPECT_EQ(Reached(), first);
  Age(std::chrono::seconds(599));
  EXPECT_EQ(Reached(), first) << "and begins its time again";
  Age(std::chrono::seconds(599));
  EXPECT_EQ(Reached(), first);
  std::set<std::string> reached;
  for (int i = 0; i < 64 && reached.size() < 2; ++i) {
    Age(std::chrono::seconds(601));
    reached.insert(Reached());
  }
  EXPECT_EQ(reached.size(), 2U);
}

TEST_F(FollowServices, AffinityEndsWithItsBackend) {
  Put({{kVip, kTcp, {"db", "other"}, 600}});
  const std::string first = Reached(), second = first == "db" ? "other" : "db";
  Put({{kVip, kTcp, {second}, 600}});
  EXPECT_EQ(Reached(), second);
  Put({{kVip, kTcp, {"db", "other"}, 600}});
  for (int i = 0; i < 16; ++i) EXPECT_EQ(Reached(), second);
}

TEST_F(FollowServices, DatagramsToAnAddressMoveWhenTheirBackendGoes) {
  Put({{kVip, kUdp, {"db"}}});
  const Fd client = Open("web", AF_INET, SOCK_DGRAM);
  ASSERT_EQ(Send(client, kVip), 0);
  ASSERT_TRUE(Answer(db_udp_));
  EXPECT_EQ(Receive(client).from, kVip);
  Put({{kVip, kUdp, {"other"}}});
  ASSERT_EQ(Send(client, kVip), 0);
  ASSERT_TRUE(Answer(other_udp_));
  EXPECT_EQ(Receive(client).from, kVip);
}

TEST_F(FollowServices, AConnectedDatagramSocketEndsWithItsBackend) {
  Put({{kVip, kUdp, {"db"}}, {kVip6, kUdp, {"db"}}, {kVip, kTcp, {"db"}}, {kVip2, kUdp, {"db", "other"}}});
  const Fd tcp = Open("web", AF_INET, SOCK_STREAM), left = Open("web", AF_INET, SOCK_DGRAM);
  ASSERT_EQ(Connect(tcp, kVip), 0);
  ASSERT_EQ(Connect(left, kVip), 0);
  ASSERT_EQ(Disconnect(left), 0);
  struct {
    int family;
    End vip;
  } const cases[] = {{AF_INET, kVip}, {AF_INET6, kVip6}, {AF_INET6, kMapped}};
  std::vector<Fd> clients;
  for (const auto& [family, vip] : cases) {
    clients.push_back(Open("web", family, SOCK_DGRAM));
    ASSERT_EQ(Connect(clients.back(), vip), 0);
  }
  auto stale = FindStaleSockets("web");
  ASSERT_TRUE(stale.ok()) << stale.status();
  EXPECT_EQ(stale->size(), 0U) << "nothing has changed";
  Put({{kVip, kUdp, {"other"}}, {kVip6, kUdp, {}}, {kVip2, kUdp, {"db", "other"}}});
  stale = FindStaleSockets("web");
  ASSERT_TRUE(stale.ok()) << stale.status();
  EXPECT_EQ(stale->size(), clients.size()) << "not those of TCP, and none that has disconnected";
  Fd diagnosis;
  const Status opened = node_->RunIn(Pod("web"), [&] {
    diagnosis = Fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    return OkStatus();
  });
  ASSERT_TRUE(opened.ok() && diagnosis.valid());
  for (const sl_stale_socket& one : *stale) {
    const Status ended = net::EndUdpSocket(diagnosis.get(), {.cookie = one.cookie,
                                                             .local = policy::Address(one.local),
                                                             .remote = policy::Address(one.backend.addr),
                                                             .local_port = ntohs(one.local_port),
                                                             .remote_port = ntohs(one.backend.port),
                                                             .interface = one.interface});
    if (absl::IsUnimplemented(ended)) GTEST_SKIP() << ended.message();
    EXPECT_TRUE(ended.ok()) << ended;
  }
  for (const Fd& client : clients) {
    char byte;
    EXPECT_EQ(recv(client.get(), &byte, 1, 0), -1);
    EXPECT_EQ(errno, ECONNABORTED);
  }
  ASSERT_EQ(Connect(clients[0], kVip), 0) << "it connects again";
  ASSERT_EQ(Send(clients[0]), 0);
  EXPECT_TRUE(Answer(other_udp_));
  stale = FindStaleSockets("web");
  ASSERT_TRUE(stale.ok()) << stale.status();
  EXPECT_EQ(stale->size(), 0U);
}

TEST_F(FollowServices, NoConnectionReachesWhatWasNeverABackend) {
  constexpr int kConnections = 400;
  std::vector<End> elsewhere;  // another Service's
  for (std::uint16_t port = 1; port <= 7; ++port) elsewhere.push_back({"10.1.0.77", port});
  Put({{kVip, kTcp, {"db"}}});
  std::atomic<int> running = 2, failed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&] {
      const Status ran = node_->RunIn(Pod("web"), [&] {
        for (int j = 0; j < kConnections; ++j) {
          const Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
          if (Connect(client, kVip) != 0) ++failed;
        }
        return OkStatus();
      });
      if (!ran.ok()) ++failed;
      --running;
    });
  int changes = 0;
  while (running != 0) {
    TestService other{kVip2, kTcp, {}, 0, "other"};
    other.ends.assign(elsewhere.begin(), elsewhere.begin() + changes % 7);
    const std::vector<std::string> pods[] = {{"db"}, {"other"}, {"db", "other"}};
    Put({{kVip, kTcp, pods[changes % 3]}, other});
    ++changes;
    while (const Fd* reached = FirstReached({&db_tcp_, &other_tcp_}, 0ms)) Accept(*reached);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(changes, 10);
}

TEST_F(FollowServices, ProgramsTranslateWhileNoAgentRuns) {
  Put({{kVip2, kTcp, {"db"}, 0, "second"}, {kVip, kTcp, {"other"}}});
  const std::uint32_t number = NumberOf(kVip), last = std::max(number, NumberOf(kVip2));
  ASSERT_NE(number, 0U);
  const std::uint32_t link = IdOfPin("sv_connect4");
  const Fd before = Open("web", AF_INET, SOCK_STREAM);
  ASSERT_EQ(Connect(before, kVip), 0);
  ASSERT_TRUE(Accept(other_tcp_));
  programs_.reset();
  Close();
  EXPECT_EQ(Reached(), "other");
  DatapathFixture::Open();
  StartPrograms();
  EXPECT_EQ(Reached(), "other") << "nothing was set yet";
  EXPECT_EQ(PeerOf(before), kVip);
  EXPECT_EQ(IdOfPin("sv_connect4"), link) << "a new program at the same attachment";
  Put({{kVip, kTcp, {"other"}}});
  EXPECT_EQ(NumberOf(kVip), number);
  EXPECT_EQ(Reached(), "other");
  Put({});
  Close();
  DatapathFixture::Open();
  Put({{{"10.96.0.99", 80}, kTcp, {"db"}}});
  EXPECT_GT(NumberOf({"10.96.0.99", 80}), last) << "a number is not used again";
}

TEST_F(FollowServices, AnAddressThatBecomesAnotherServicesHasANewNumber) {
  Put({{kVip, kTcp, {"db"}}});
  const std::uint32_t number = NumberOf(kVip);
  Put({{kVip, kTcp, {"other"}}});
  EXPECT_EQ(NumberOf(kVip), number);
  Put({{kVip, kTcp, {"other"}, 0, "another"}});
  EXPECT_GT(NumberOf(kVip), number);
  ASSERT_NE(datapath_->services().Find(number), nullptr) << "flows may still have it";
  EXPECT_EQ(datapath_->services().Find(number)->service.name, "shop");
}

TEST_F(FollowServices, WhatOthersDetachIsAttachedAgain) {
  Put({{kVip, kTcp, {"db"}}});
  ASSERT_EQ(Reached(), "db");
  const std::string directory = bpf::PinLayout(root()).services_dir();
  {
    const auto link = bpf::OpenPinned(directory + "/sv_connect4");
    ASSERT_TRUE(link.ok()) << link.status();
    ASSERT_TRUE(bpf::DetachLink(link->get()).ok());
  }
  auto repaired = programs_->Repair();
  ASSERT_TRUE(repaired.ok()) << repaired.status();
  EXPECT_EQ(*repaired, 1);
  EXPECT_EQ(Reached(), "db");
  std::filesystem::remove_all(directory);
  repaired = programs_->Repair();
  ASSERT_TRUE(repaired.ok()) << repaired.status();
  EXPECT_EQ(*repaired, 8);
  programs_.reset();
  EXPECT_EQ(Reached(), "db") << "the pins hold them";
  EXPECT_TRUE(bpf::ServicePrograms::Release(bpf::PinLayout(root())).ok());
  bool ended = false;  // the kernel ends a link a moment after its last reference is gone
  for (int i = 0; i < 1000 && !ended; ++i) ended = Reached() != "db";
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace sluice::test
