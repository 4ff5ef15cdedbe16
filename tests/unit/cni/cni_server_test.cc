// The agent's socket, with callers that do not behave.
#include "ctrl/pods/cni_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "tests/unit/cni/fake_agent.h"
#include "tests/unit/cni/plugin_process.h"

namespace sluice::pods {
namespace {

using namespace std::chrono_literals;
using cni::Deadline;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kStatus = R"({"protocol":1,"command":"STATUS"})";

class CniServerTest : public ::testing::Test {
 protected:
  void Start(CniServer::Options options = {}) {
    options.socket = socket_;
    options.directory = directory_.path("left");
    options.spool_interval = 20ms;
    const Status started = agent_.Start(options);
    ASSERT_TRUE(started.ok()) << started;
  }

  Fd Connect() const {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::strcpy(address.sun_path, socket_.c_str());
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return {};
    return fd;
  }
  static Deadline Soon() { return Deadline::clock::now() + 10s; }
  static StatusOr<cni::Answer> Read(const Fd& fd) {
    SL_ASSIGN_OR_RETURN(const std::string text, cni::ReceiveMessage(fd.get(), Soon()));
    return cni::ParseAnswer(text);
  }
  // Code of the answer; -1: none.
  int Ask(const std::string& text) const {
    const Fd fd = Connect();
    if (!fd.valid()) return -1;
    (void)cni::SendMessage(fd.get(), text, Soon());
    const auto answer = Read(fd);
    return answer.ok() ? answer->code : -1;
  }
  int Ask(const cni::Request& request) const { return Ask(ToJson(request)); }
  bool Becomes(const std::function<bool()>& condition) const {
    for (const auto end = Soon(); Deadline::clock::now() < end; std::this_thread::sleep_for(5ms)) {
      if (condition()) return true;
    }
    return false;
  }

  test::ScratchDirectory directory_;
  const std::string socket_ = directory_.path("cni.sock");
  test::FakeAgent agent_;
};

cni::Request MakeAdd(const std::string& id = "4f") {
  return {.command = cni::Command::kAdd,
          .network = "cbr0",
          .attachment = {id, "eth0"},
          .netns = "/run/netns/x",
          .pod_namespace = "shop",
          .pod_name = "web-0",
          .pod_uid = "u1",
          .host_ifindex = 7};
}

TEST_F(CniServerTest, HandsEachCallToItsCallback) {
  Start();
  EXPECT_EQ(Ask(MakeAdd()), 0);
  EXPECT_EQ(agent_.last().sandbox,
            (node::Sandbox{.pod = {"shop", "web-0"}, .uid = "u1", .id = "4f", .netns = "/run/netns/x"}));
  EXPECT_EQ(agent_.last().network, "cbr0");
  EXPECT_EQ(Ask({.command = cni::Command::kCheck, .attachment = {"4f", "eth0"}}), 0);
  EXPECT_EQ(Ask({.command = cni::Command::kGc, .network = "cbr0", .valid = {{"4f", "eth0"}, {"5a", "eth0"}}}), 0);
  EXPECT_EQ(Ask({.command = cni::Command::kDel, .attachment = {"4f", "eth0"}}), 0);
  EXPECT_EQ(Ask(kStatus), 0);
  EXPECT_THAT(agent_.said(),
              ElementsAre("ADD shop/web-0 4f eth0", "CHECK 4f eth0", "GC cbr0 4f@eth0 5a@eth0", "DEL 4f eth0"));
  EXPECT_TRUE(Becomes([&] { return agent_.server().counts().calls == 5; }));
}

TEST_F(CniServerTest, ErrorsHaveCniCodes) {
  Start();
  for (const auto& [status, code] :
       std::vector<std::pair<Status, int>>{{absl::UnavailableError("x"), cni::kTryAgain},
                                           {absl::DeadlineExceededError("x"), cni::kTryAgain},
                                           {absl::ResourceExhaustedError("x"), cni::kTryAgain},
                                           {absl::FailedPreconditionError("x"), cni::kNotEnforced},
                                           {absl::NotFoundError("x"), cni::kNotEnforced},
                                           {absl::InternalError("x"), cni::kNotEnforced}}) {
    agent_.Answer("ADD", status);
    EXPECT_EQ(Ask(MakeAdd()), code) << status;
  }
  agent_.Answer("CHECK", absl::NotFoundError("x"));
  EXPECT_EQ(Ask({.command = cni::Command::kCheck, .attachment = {"4f", "eth0"}}), cni::kUnknownToAgent);
  agent_.SetHealth({CniHealth::kNotReady, "it starts"});
  EXPECT_EQ(Ask(kStatus), cni::kNotAvailable);
  agent_.SetHealth({CniHealth::kHolding, "the state is lost"});
  EXPECT_EQ(Ask(kStatus), cni::kLimitedConnectivity);
}

TEST_F(CniServerTest, IsForItsUserAlone) {
  Start();
  struct stat facts {};
  ASSERT_EQ(stat(socket_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777, 0600U);
  if (getuid() != 0) GTEST_SKIP() << "needs root: to be another user";
  // Even where the file's mode would let others in.
  ASSERT_EQ(chmod(socket_.c_str(), 0666), 0);
  ASSERT_EQ(chmod(directory_.path().c_str(), 0755), 0);
  int code = 0;
  bool connected = false;
  std::thread([&] {
    ASSERT_EQ(syscall(SYS_setresuid, 65534, 65534, 65534), 0);  // this thread alone
    const Fd fd = Connect();
    connected = fd.valid();
    (void)cni::SendMessage(fd.get(), ToJson(MakeAdd()), Soon());
    const auto answer = Read(fd);
    code = answer.ok() ? answer->code : -1;
  }).join();
  EXPECT_TRUE(connected);
  EXPECT_EQ(code, -1) << "it is not answered";
  EXPECT_THAT(agent_.said(), IsEmpty());
  EXPECT_TRUE(Becomes([&] { return agent_.server().counts().refused == 1; }));
}

TEST_F(CniServerTest, WhatIsNoRequestIsRefused) {
  Start();
  for (const std::string& text :
       {std::string(), std::string("GET / HTTP/1.0\r\n\r\n"), std::string("{"), std::string(200'000, '['),
        std::string("\0\xff\xfe", 3), std::string(R"({"protocol":1,"command":"ADD"})")}) {
    EXPECT_EQ(Ask(text), cni::kNotDecoded) << text.substr(0, 40);
  }
  EXPECT_EQ(Ask(R"({"protocol":2,"command":"STATUS"})"), cni::kTryAgain) << "an agent of another version";
  EXPECT_EQ(Ask(std::string(cni::kMaxMessage + 1, ' ')), cni::kTryAgain);
  EXPECT_THAT(agent_.said(), IsEmpty());
  EXPECT_EQ(Ask(kStatus), 0);
}

TEST_F(CniServerTest, SlowCallersEndAndHoldUpNobody) {
  Start({.read_timeout = 300ms});
  std::vector<Fd> slow;
  for (int i = 0; i < 32; ++i) slow.push_back(Connect());
  for (const Fd& fd : slow) ASSERT_EQ(send(fd.get(), "{\"proto", 7, MSG_NOSIGNAL), 7);
  const auto begun = Deadline::clock::now();
  EXPECT_EQ(Ask(kStatus), 0);
  EXPECT_LT(Deadline::clock::now() - begun, 4s);  // one after the other they would take twice as long
  for (const Fd& fd : slow) {
    const auto answer = Read(fd);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->code, cni::kTryAgain);
  }
  EXPECT_TRUE(Becomes([&] { return agent_.server().counts().refused == 32; }));
}

TEST_F(CniServerTest, OneByteAtATimeIsBoundedToo) {
  Start({.read_timeout = 200ms});
  const Fd fd = Connect();
  const auto begun = Deadline::clock::now();
  while (Deadline::clock::now() - begun < 5s) {
    if (send(fd.get(), " ", 1, MSG_NOSIGNAL) < 0) break;
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_LT(Deadline::clock::now() - begun, 4s);
}

TEST_F(CniServerTest, AsManyAsItTakesAndNoMore) {
  Start({.max_calls = 4});
  agent_.HoldAdds();
  std::vector<Fd> held;
  for (int i = 0; i < 4; ++i) {
    held.push_back(Connect());
    ASSERT_TRUE(cni::SendMessage(held.back().get(), ToJson(MakeAdd("id" + std::to_string(i))), Soon()).ok());
  }
  ASSERT_TRUE(Becomes([&] { return agent_.said().size() == 4; }));
  EXPECT_EQ(Ask(kStatus), cni::kTryAgain);
  EXPECT_EQ(Ask(std::string(cni::kMaxMessage, ' ')), cni::kTryAgain) << "before it has read the request";
  agent_.ReleaseAdds();
  for (const Fd& fd : held) {
    const auto answer = Read(fd);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->code, 0);
  }
  EXPECT_TRUE(Becomes([&] { return Ask(kStatus) == 0; }));
  EXPECT_GE(agent_.server().counts().busy, 2U);
}

TEST_F(CniServerTest, TheDeadlineIsThePlugins) {
  Start();
  agent_.HoldAdds();
  cni::Request add = MakeAdd();
  add.timeout_ms = 100;
  EXPECT_EQ(Ask(add), cni::kTryAgain);
}

TEST_F(CniServerTest, ACallerThatLeavesHurtsNobody) {
  Start();
  agent_.HoldAdds();
  for (int i = 0; i < 8; ++i) {
    const Fd fd = Connect();
    ASSERT_TRUE(cni::SendMessage(fd.get(), ToJson(MakeAdd("id" + std::to_string(i))), Soon()).ok());
  }
  ASSERT_TRUE(Becomes([&] { return agent_.said().size() == 8; }));
  agent_.ReleaseAdds();
  EXPECT_EQ(Ask(kStatus), 0);
}

TEST_F(CniServerTest, ANewAgentTakesThePlaceOfOneThatEnded) {
  Start();
  test::FakeAgent second;
  EXPECT_EQ(second.Start({.socket = socket_, .directory = directory_.path("left")}).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Ask(kStatus), 0) << "the first one goes on";
  agent_.Stop();
  EXPECT_TRUE(directory_.Has("cni.sock"));
  EXPECT_EQ(Ask(kStatus), -1);
  const Status started = second.Start({.socket = socket_, .directory = directory_.path("left")});
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_EQ(Ask(kStatus), 0);
}

TEST_F(CniServerTest, EndsWithCallsThatRun) {
  Start();
  agent_.HoldAdds();
  const Fd fd = Connect(), silent = Connect();
  ASSERT_TRUE(cni::SendMessage(fd.get(), ToJson(MakeAdd()), Soon()).ok());
  ASSERT_TRUE(Becomes([&] { return agent_.said().size() == 1; }));
  agent_.Stop();
  const auto answer = Read(fd);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->code, 0) << "the call that ran has its answer";
}

TEST_F(CniServerTest, DoesWhatWasLeftForIt) {
  directory_.Write("left/deleted/4f@eth0", "");
  directory_.Write("left/deleted/.sluice-cni.5a@eth0.tmp", "");
  directory_.Write("left/deleted/not an attachment", "");
  directory_.Write("left/pending/6b@eth0", ToJson(MakeAdd("6b")));
  directory_.Write("left/pending/7c@eth0", "{ no request");
  directory_.Write("left/pending/8d@eth0", kStatus);
  Start();
  ASSERT_TRUE(Becomes([&] { return agent_.said().size() == 3; }));
  EXPECT_THAT(agent_.said(), ElementsAre("DEL 4f eth0", "ADD shop/web-0 6b eth0", "OPEN 7"));
  EXPECT_TRUE(Becomes([&] { return directory_.List("left/pending").empty(); }));
  EXPECT_THAT(directory_.List("left/deleted"), ElementsAre(".sluice-cni.5a@eth0.tmp", "not an attachment"));
  directory_.Write("left/deleted/9e@net1", "");
  EXPECT_TRUE(Becomes([&] { return !directory_.Has("left/deleted/9e@net1"); })) << "what comes later too";
  EXPECT_THAT(agent_.said(), Contains("DEL 9e net1"));
}

TEST_F(CniServerTest, APendingPodStaysClosedUntilItIsEnforcedOn) {
  agent_.Answer("ADD", absl::InternalError("no room"));
  agent_.Answer("DEL", absl::InternalError("not now"));
  directory_.Write("left/pending/6b@eth0", ToJson(MakeAdd("6b")));
  directory_.Write("left/deleted/4f@eth0", "");
  Start();
  ASSERT_TRUE(Becomes([&] { return agent_.said().size() >= 6; }));
  EXPECT_THAT(agent_.said(), ::testing::Not(Contains("OPEN 7")));
  EXPECT_TRUE(directory_.Has("left/pending/6b@eth0"));
  EXPECT_TRUE(directory_.Has("left/deleted/4f@eth0"));
  agent_.Answer("DEL", OkStatus());
  agent_.Answer("ADD", OkStatus());
  agent_.Answer("OPEN", absl::InternalError("no right"));
  ASSERT_TRUE(Becomes([&] { return !directory_.Has("left/deleted/4f@eth0"); }));
  ASSERT_TRUE(Becomes([&] { return agent_.said().back() == "OPEN 7"; }));
  EXPECT_TRUE(directory_.Has("left/pending/6b@eth0")) << "it was not opened";
  agent_.Answer("OPEN", absl::NotFoundError("it has gone"));
  EXPECT_TRUE(Becomes([&] { return !directory_.Has("left/pending/6b@eth0"); }));
}

TEST_F(CniServerTest, APendingPodThatHasGoneIsNotOpened) {
  agent_.Answer("ADD", absl::NotFoundError("no such namespace"));
  directory_.Write("left/pending/6b@eth0", ToJson(MakeAdd("6b")));
  Start();
  EXPECT_TRUE(Becomes([&] { return !directory_.Has("left/pending/6b@eth0"); }));
  EXPECT_THAT(agent_.said(), ElementsAre("ADD shop/web-0 6b eth0"));
}

TEST_F(CniServerTest, APendingPodThatIsDeletedMeanwhileIsForgotten) {
  directory_.Write("left/pending/6b@eth0", ToJson(MakeAdd("6b")));
  agent_.HoldAdds();
  Start();
  ASSERT_TRUE(Becomes([&] { return agent_.said().size() == 1; }));
  std::filesystem::remove(directory_.path("left/pending/6b@eth0"));
  EXPECT_EQ(Ask({.command = cni::Command::kDel, .attachment = {"6b", "eth0"}}), 0);
  agent_.ReleaseAdds();
  ASSERT_TRUE(Becomes([&] { return agent_.said().size() == 4; }));
  EXPECT_THAT(agent_.said(), ElementsAre("ADD shop/web-0 6b eth0", "DEL 6b eth0", "OPEN 7", "DEL 6b eth0"));
}

TEST_F(CniServerTest, APathThatCannotBeUsedIsAnError) {
  EXPECT_EQ(agent_.Start({.socket = std::string(200, 'x')}).code(), absl::StatusCode::kInvalidArgument);
  directory_.Write("file", "");
  EXPECT_FALSE(agent_.Start({.socket = directory_.path("file/cni.sock")}).ok());
}

}  // namespace
}  // namespace sluice::pods
