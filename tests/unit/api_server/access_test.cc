// The rights of each caller over the unix socket; and each change is logged with its caller.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include <sys/resource.h>
#include <sys/wait.h>
#include "tests/support/environment.h"

#include "tests/unit/api_server/server_world.h"

namespace sluice::api {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Code = grpc::StatusCode;

constexpr char kChangers[] = "54321";
constexpr char kReaders[] = "54322";
constexpr User kRoot{.uid = 0, .gid = 0, .groups = {}};

class Access : public ServerFixture {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to be somebody else";
  }
  ServerOptions Groups() {
    ServerOptions options;
    options.change_group = kChangers;
    options.read_group = kReaders;
    return options;
  }
};

TEST_F(Access, CredentialsDecideEachMethod) {
  ASSERT_TRUE(Start(Groups()).ok());
  struct Case {
    User user;
    bool changes;
  };
  const Case cases[] = {{kRoot, true},
                        {{.uid = 1000, .gid = 54321, .groups = {}}, true},
                        {{.uid = 1001, .gid = 1001, .groups = {7, 54321}}, true},
                        {{.uid = 1002, .gid = 54322, .groups = {}}, false},
                        {{.uid = 1003, .gid = 1003, .groups = {54322}}, false},
                        {{.uid = 1004, .gid = 1, .groups = {54322, 54321}}, true}};
  for (const Case& one : cases) {
    SCOPED_TRACE(one.user.uid);
    const auto stub = As(one.user);
    const grpc::Status asked = Ask(*stub);
    EXPECT_TRUE(asked.ok()) << asked.error_message();
    EXPECT_TRUE(Get(*stub).ok());
    EXPECT_TRUE(Observe(*stub).ok());
    EXPECT_TRUE(Explain(*stub).ok());
    const auto may = [&](Code code) { return one.changes ? code : Code::PERMISSION_DENIED; };
    EXPECT_EQ(Apply(*stub, kPolicy).error_code(), may(Code::OK));
    EXPECT_EQ(Delete(*stub, "p").error_code(), may(Code::OK));
    EXPECT_EQ(Quarantine(*stub).error_code(), may(Code::NOT_FOUND));
    const std::size_t left = controller_.view()->resources.size();
    EXPECT_EQ(left, 0U);
  }
  EXPECT_THAT(Apply(*As({.uid = 1002, .gid = 54322, .groups = {}}), kPolicy).error_message(), HasSubstr("uid 1002"));
}

TEST_F(Access, WhoIsInNoGroupIsSentAway) {
  ASSERT_TRUE(Start(Groups()).ok());
  EXPECT_EQ(Ask(*As({.uid = 1000, .gid = 1000, .groups = {5}})).error_code(), Code::UNAVAILABLE);
  EXPECT_THAT(log(), HasSubstr(": connect: refused: uid 1000"));
  EXPECT_TRUE(Ask(*As(kRoot)).ok());
}

TEST_F(Access, OneGroupGivesNothingToTheOther) {
  ServerOptions options;
  options.read_group = kReaders;
  ASSERT_TRUE(Start(options).ok());
  EXPECT_TRUE(Ask(*As({.uid = 1000, .gid = 54322, .groups = {}})).ok());
  EXPECT_EQ(Ask(*As({.uid = 1000, .gid = 54321, .groups = {}})).error_code(), Code::UNAVAILABLE);
}

TEST_F(Access, WithoutGroupsNobodyElseEvenConnects) {
  ASSERT_TRUE(Start({}).ok());
  struct stat facts {};
  ASSERT_EQ(stat(socket().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0600U);
  EXPECT_FALSE(Connect({.uid = 1000, .gid = 0, .groups = {}}).valid());
  EXPECT_EQ(errno, EACCES);
  EXPECT_TRUE(Ask(*As(kRoot)).ok());
}

TEST_F(Access, TheSocketIsChangedNotItsDirectory) {
  ASSERT_EQ(chmod(directory_.c_str(), 0711), 0);
  ASSERT_TRUE(Start(Groups()).ok());
  struct stat facts {};
  ASSERT_EQ(stat(directory_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0711U);
}

TEST_F(Access, GroupThatIsNotThereIsNamed) {
  ServerOptions options;
  options.address = "unix://" + socket();
  options.read_group = "no-such-group";
  const Status status = Server::Check(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), AllOf(HasSubstr("--api-read-group"), HasSubstr("no-such-group")));
}

TEST_F(Access, EachChangeIsAnEventWithWhoMadeIt) {
  ASSERT_TRUE(Start(Groups()).ok());
  const std::string who = "uid 1000, pid " + std::to_string(getpid());
  const auto stub = As({.uid = 1000, .gid = 54321, .groups = {}});
  const auto following = telemetry_.hub().Subscribe({});
  ASSERT_TRUE(following.ok()) << following.status();
  const auto next = [&] {
    const auto event = (*following)->Next(std::chrono::seconds(10));
    return event ? event->change() : v1::Change();
  };
  ASSERT_TRUE(Apply(*stub, kPolicy).ok());
  const v1::Change applied = next();
  EXPECT_EQ(applied.type(), "change");
  EXPECT_EQ(applied.action(), "apply");
  EXPECT_EQ(applied.caller(), who);
  EXPECT_EQ(applied.revision(), 1U);
  ASSERT_EQ(applied.changes_size(), 1);
  EXPECT_EQ(applied.changes(0).resource().name(), "p");
  ASSERT_TRUE(Apply(*stub, kPolicy).ok()) << "changes nothing: no event";
  EXPECT_FALSE(Quarantine(*stub).ok());
  const v1::Change refused = next();
  EXPECT_EQ(refused.action(), "quarantine");
  EXPECT_THAT(refused.problem(), HasSubstr("shop/nobody"));
  EXPECT_FALSE(refused.has_revision());
  EXPECT_EQ(controller_.view()->revision, 1U);
  EXPECT_EQ(telemetry_.history().Read().size(), 2U) << "also for those who ask later";
}

TEST_F(Access, ARefusedChangeIsAnEventAtABoundedRate) {
  ASSERT_TRUE(Start(Groups()).ok());
  const auto reader = As({.uid = 1002, .gid = 54322, .groups = {}});
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(Apply(*reader, kPolicy).error_code(), Code::PERMISSION_DENIED);
    ASSERT_EQ(Delete(*reader, "p").error_code(), Code::PERMISSION_DENIED);
  }
  ASSERT_EQ(Quarantine(*As({.uid = 1003, .gid = 54322, .groups = {}})).error_code(), Code::PERMISSION_DENIED);
  for (int i = 0; i < 20; ++i) {
    ASSERT_FALSE(Ask(*As({.uid = 1000, .gid = 1000, .groups = {}})).ok());
  }
  EXPECT_TRUE(Get(*reader).ok());
  const auto events = telemetry_.history().Read();
  const std::string pid = ", pid " + std::to_string(getpid());
  ASSERT_EQ(events.size(), 3U) << "one of each user";
  const std::pair<std::string, std::string> expected[] = {
      {"apply", "uid 1002" + pid}, {"quarantine", "uid 1003" + pid}, {"connect", "uid 1000" + pid}};
  for (std::size_t i = 0; i < std::size(expected); ++i) {
    const v1::Change& change = events[i]->change();
    EXPECT_EQ(change.type(), "change");
    EXPECT_EQ(change.action(), expected[i].first);
    EXPECT_EQ(change.caller(), expected[i].second);
    EXPECT_THAT(change.problem(), HasSubstr(expected[i].second + " "));
    EXPECT_FALSE(change.has_revision());
  }
  const std::string all = log();
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 3) << all;
}

TEST_F(Access, ADryRunChangesNothingAndIsNoChange) {
  ASSERT_TRUE(Start({}).ok());
  const auto stub = As({});
  const auto apply = [&](const std::string& yaml, v1::ApplyReply* reply) {
    grpc::ClientContext context;
    v1::ApplyRequest request;
    request.add_documents()->set_yaml(yaml);
    request.set_dry_run(true);
    return stub->Apply(&context, request, reply);
  };
  v1::ApplyReply reply;
  ASSERT_TRUE(apply(kPolicy, &reply).ok());
  ASSERT_EQ(reply.changes_size(), 1);
  EXPECT_EQ(reply.changes(0).change(), v1::ResourceChange::CREATED);
  EXPECT_EQ(reply.revision(), 0U);
  EXPECT_FALSE(apply("{kind: Nothing}", &reply).ok());
  const auto refused =
      apply("{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {name: w}, spec: {hostInterface: v}}", &reply);
  EXPECT_EQ(refused.error_message(), "no such interface");
  EXPECT_TRUE(controller_.view()->resources.empty());
  EXPECT_TRUE(controller_.view()->unbound.empty());
  EXPECT_EQ(log(), "");
}

TEST_F(Access, EachChangeIsLoggedWithWhoMadeIt) {
  ASSERT_TRUE(Start(Groups()).ok());
  const std::string who = "uid 1000, pid " + std::to_string(getpid());
  const auto stub = As({.uid = 1000, .gid = 54321, .groups = {}});
  ASSERT_TRUE(Apply(*stub, kPolicy).ok());
  EXPECT_THAT(log(), HasSubstr("info " + who + ": apply: created NetworkPolicy shop/p; revision "));
  ASSERT_TRUE(Delete(*stub, "p").ok());
  EXPECT_THAT(log(), HasSubstr("info " + who + ": delete: removed NetworkPolicy shop/p; revision "));
  EXPECT_FALSE(Quarantine(*stub).ok());
  EXPECT_THAT(log(), HasSubstr("warning " + who + ": quarantine: Workload shop/nobody; refused: "));
  EXPECT_FALSE(Apply(*stub, "{kind: Nothing}").ok());
  EXPECT_THAT(log(), HasSubstr("warning " + who + ": apply: refused: "));
  EXPECT_TRUE(Ask(*stub).ok());
  EXPECT_TRUE(Get(*stub).ok());
  const std::string all = log();
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 4) << "reading is no change";
}

// A closed connection must not pass its number, and with it its name, to the next.
void CheckThatNumbersRest() {
  auto connections = Connections::Make({});
  ASSERT_TRUE(connections.ok()) << connections.status();
  const auto take_in = [&](const std::string& name, Fd* peer) {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    *peer = Fd(ends[1]);
    return (*connections)->TakeInUnix(Fd(ends[0]), {.right = Right::kRead, .name = name, .share = name});
  };
  Fd first_peer, second_peer;
  const auto first = take_in("first", &first_peer);
  ASSERT_TRUE(first.ok()) << first.status();
  const std::string name = "fd:" + std::to_string(*first);
  const auto begun = (*connections)->BeginCall(name);
  ASSERT_TRUE(begun);
  EXPECT_EQ(begun->caller.name, "first");
  close(*first);  // like gRPC after the client has closed
  first_peer = Fd();
  const auto now = Connections::Clock::now();
  (*connections)->Tend(now);
  EXPECT_EQ((*connections)->open(), 0U);
  int highest = 0, wraps = 0;
  for (int i = 0; i < 400; ++i) {
    const auto next = take_in("second", &second_peer);
    ASSERT_TRUE(next.ok()) << next.status();
    EXPECT_NE(*next, *first);
    highest = std::max(highest, *next);
    wraps += *next < highest;
    close(*next);
    second_peer = Fd();
    (*connections)->Tend(Connections::Clock::now());
    (*connections)->Tend(now + (2 + 2 * i) * Connections::kNumberRest);
  }
  EXPECT_GT(wraps, 0) << "all others came again";
  const auto late = (*connections)->BeginCall(name);
  ASSERT_TRUE(late) << "a call that gRPC hands over late";
  EXPECT_EQ(late->caller.name, "first");
  (*connections)->EndCall(late->connection);
  // Still in use: the number stays taken, however long it takes.
  (*connections)->Tend(now + 1000 * Connections::kNumberRest);
  EXPECT_TRUE((*connections)->BeginCall(name));
  (*connections)->EndCall(begun->connection);
  (*connections)->EndCall(begun->connection);
  (*connections)->Tend(now + 2000 * Connections::kNumberRest);
  EXPECT_FALSE((*connections)->BeginCall(name));
}

// In a process with few descriptors, so that each number is reused often.
TEST_F(Access, NumbersOfConnectionsRest) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit few{.rlim_cur = 256, .rlim_max = 256};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    CheckThatNumbersRest();
    _exit(HasFailure() ? 1 : 0);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(Access, SocketFileThatIsRemovedComesBack) {
  ASSERT_TRUE(Start({}).ok());
  const auto stub = As(kRoot);
  ASSERT_TRUE(Ask(*stub).ok());
  ASSERT_TRUE(std::filesystem::remove(socket()));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!std::filesystem::exists(socket()) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(Ask(*As(kRoot)).ok());
  EXPECT_TRUE(Ask(*stub).ok()) << "who was connected stays so";
  struct stat facts {};
  ASSERT_EQ(stat(socket().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0600U);
}

TEST_F(Access, AStoppedServerLeavesNoFileAndTakesNoOthersAway) {
  ASSERT_TRUE(Start({}).ok());
  EXPECT_EQ(Server::Check({.address = "unix://" + socket()}).code(), absl::StatusCode::kAlreadyExists);
  server_.reset();
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

}  // namespace
}  // namespace sluice::api
