// The programs in the kernel against the reference evaluator (policy/tracing/evaluate.h): random policies on system
// calls, and calls of this process with random arguments.
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "tests/hooks/hook_test.h"
#include "tests/unit/policy_tracing/random_hook.h"

namespace sluice::test {
namespace {

using policy::tracing::ArgType;
using policy::tracing::Facts;
using policy::tracing::ProcessFacts;
using policy::tracing::RandomHooks;
using policy::tracing::TracingPolicy;
using policy::tracing::ValueFacts;

constexpr std::uint32_t kSeed = 20261202;
constexpr int kPolicies = 150;
constexpr int kCalls = 8;

class HookReference : public HookTest {};
SL_FOR_EACH_SYSCALL_BACK_END(HookReference);

std::optional<std::string> LinkOf(const std::string& path) {
  char target[4096];
  const ssize_t length = readlink(path.c_str(), target, sizeof(target));
  return length < 0 ? std::nullopt : std::optional(std::string(target, static_cast<std::size_t>(length)));
}

// The value of a line of /proc/PID/status: "NSpid".
std::string StatusOf(pid_t pid, const std::string& key) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key + ":")) return line.substr(key.size() + 1);
  }
  return "";
}

std::uint32_t NamespaceOf(const char* file) {
  const std::string text = LinkOf(fmt::format("/proc/self/ns/{}", file)).value_or("");  // "uts:[4026531838]"
  const std::size_t bracket = text.find('[');
  return bracket == std::string::npos ? 0 : static_cast<std::uint32_t>(std::stoul(text.substr(bracket + 1)));
}

// Of a process, the outermost namespace first.
std::vector<std::uint32_t> PidsByNamespace(pid_t pid) {
  std::istringstream text(StatusOf(pid, "NSpid"));
  std::vector<std::uint32_t> pids;
  for (std::uint32_t one = 0; text >> one;) pids.push_back(one);
  return pids;
}

ProcessFacts ThisProcess() {
  ProcessFacts facts;
  facts.pid = static_cast<std::uint32_t>(getpid());
  const std::vector<std::uint32_t> own = PidsByNamespace(getpid());
  facts.namespaced_pid = own.back();
  bool in_namespace = true;  // those outside, and their ancestors, do not count
  for (pid_t pid = getppid(); pid > 0; pid = std::stoi(StatusOf(pid, "PPid"))) {
    facts.ancestors.push_back(static_cast<std::uint32_t>(pid));
    const std::vector<std::uint32_t> pids = PidsByNamespace(pid);
    // An ancestor's namespace is that of the process, or one that has it in it.
    in_namespace = in_namespace && pids.size() == own.size();
    const std::uint32_t number = pids.empty() ? 0 : pids.back();
    if (in_namespace) facts.namespaced_ancestors.push_back(number);
  }
  // By NamespaceType, and by CapabilitySet.
  constexpr const char* kFiles[] = {
      "uts", "ipc", "mnt", "pid", "pid_for_children", "net", "time", "time_for_children", "cgroup", "user"};
  for (std::size_t i = 0; i < std::size(kFiles); ++i) facts.namespaces[i] = NamespaceOf(kFiles[i]);
  constexpr const char* kSets[] = {"CapEff", "CapInh", "CapPrm"};
  for (std::size_t i = 0; i < std::size(kSets); ++i) {
    facts.capabilities[i] = std::stoull(StatusOf(getpid(), kSets[i]), nullptr, 16);
  }
  for (const std::uint32_t pid : facts.ancestors) {
    if (const auto program = LinkOf(fmt::format("/proc/{}/exe", pid))) facts.executed.push_back(*program);
  }
  facts.executed.push_back(LinkOf("/proc/self/exe").value_or(""));
  facts.namespaces_at_exec = facts.namespaces;
  facts.capabilities_at_exec = facts.capabilities;
  facts.binary = LinkOf("/proc/self/exe");
  facts.parent_binary = LinkOf(fmt::format("/proc/{}/exe", getppid()));
  return facts;
}

// One argument as the kernel gets it. Owns what its register points to.
class CallArgument {
 public:
  CallArgument(ValueFacts* facts, ArgType type, RandomHooks* random) {
    if (type == ArgType::kString) {
      if (facts->text) text_ = std::make_unique<std::string>(*facts->text);
      value_ = text_ == nullptr ? 0 : reinterpret_cast<long>(text_->c_str());
    } else if (type == ArgType::kSockaddr) {
      if (facts->socket) SetAddress(facts);
      value_ = address_ == nullptr ? 0 : reinterpret_cast<long>(address_.get());
    } else {
      if (!facts->number) facts->number = 0;  // a register can always be read
      value_ = static_cast<long>(random->InRegister(*facts->number, type));
    }
  }

  long value() const { return value_; }

 private:
  void SetAddress(ValueFacts* facts) {
    policy::tracing::SocketFacts& socket = *facts->socket;
    if (!socket.source) socket.source = *policy::Address::Parse("10.0.0.1");
    socket.family = socket.source->is_v4() ? AF_INET : AF_INET6;
    address_ = std::make_unique<sockaddr_in6>();
    if (socket.source->is_v4()) {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(socket.source_port);
      std::memcpy(&address.sin_addr, socket.source->bytes().data() + 12, sizeof(address.sin_addr));
      std::memcpy(address_.get(), &address, sizeof(address));
    } else {
      address_->sin6_family = AF_INET6;
      address_->sin6_port = htons(socket.source_port);
      std::memcpy(&address_->sin6_addr, socket.source->bytes().data(), sizeof(address_->sin6_addr));
    }
  }

  std::unique_ptr<std::string> text_;
  std::unique_ptr<sockaddr_in6> address_;
  long value_ = 0;
};

// A system call that fails, or does nothing, with any arguments from `first` on.
struct HarmlessCall {
  const char* function;
  long number;
  long before;  // the arguments before `first`
  int first;
};

class Reference {
 public:
  Reference(HookFixture* fixture, std::uint32_t seed) : fixture_(fixture), random_(seed), process_(ThisProcess()) {}

  // One policy and some calls. Assertions fail where the kernel and the reference differ.
  void Run() {
    const int kind = next_++ % 3;
    constexpr HarmlessCall kMincore{"sys_mincore", SYS_mincore, 0, 0};
    constexpr HarmlessCall kAccess{"sys_faccessat", SYS_faccessat, 0, 0};
    constexpr HarmlessCall kConnect{"sys_connect", SYS_connect, -1, 1};
    const ArgType one = random_.AnyNumberType(), two = random_.AnyNumberType(), three = random_.AnyNumberType();
    if (kind == 0) return Compare(kMincore, {one, two, three});
    if (kind == 1) return Compare(kAccess, {one, ArgType::kString, two});
    Compare(kConnect, {ArgType::kSockaddr, one});
  }

  // Many policies on one call, and some calls: each selects as if it were alone.
  void RunTogether(int policies) {
    constexpr HarmlessCall kAccess{"sys_faccessat", SYS_faccessat, 0, 0};
    const std::vector<ArgType> types = {random_.AnyNumberType(), ArgType::kString, random_.AnyNumberType()};
    std::map<std::string, std::shared_ptr<const TracingPolicy>> in_force;
    for (int i = 0; i < policies; ++i) {
      TracingPolicy policy = random_.PolicyOnCall(kAccess.function, kAccess.first, types);
      policy.name.name = fmt::format("p{}", i);
      const auto shared = std::make_shared<const TracingPolicy>(std::move(policy));
      const auto compiled = policy::tracing::Compile(shared, RandomHooks::Options());
      if (compiled.policy == nullptr) continue;
      const Status applied = fixture_->tables().Put(shared->name, compiled.policy, {});
      ASSERT_TRUE(applied.ok()) << applied;
      in_force.emplace(shared->name.name, shared);
    }
    for (int call = 0; call < kCalls * 4; ++call) {
      const Facts facts = Call(kAccess, types);
      std::map<std::string, std::size_t> found, wanted;
      for (const HookRecord& record : fixture_->Take()) {
        if (record.event.tid != static_cast<__u32>(gettid()) || record.event.kind == SL_HOOK_EVENT_RETURN) continue;
        ASSERT_TRUE(found.emplace(fixture_->PolicyOf(record), record.event.selector).second) << "twice";
      }
      for (const auto& [name, policy] : in_force) {
        const auto expected = policy::tracing::Evaluate(*policy, policy->hooks[0], facts, RandomHooks::Options());
        const bool wants = expected.event && expected.selector;
        if (wants) wanted.emplace(name, *expected.selector);
        ++(wants ? matched_ : not_matched_);
      }
      ASSERT_EQ(found, wanted) << policies << " policies, call " << call;
    }
    ASSERT_TRUE(fixture_->RemoveAll().ok());
  }

  int matched() const { return matched_; }
  int not_matched() const { return not_matched_; }
  int refused() const { return refused_; }

 private:
  void Compare(const HarmlessCall& call, const std::vector<ArgType>& types) {
    const auto policy = std::make_shared<const TracingPolicy>(random_.PolicyOnCall(call.function, call.first, types));
    const auto compiled = policy::tracing::Compile(policy, RandomHooks::Options());
    if (compiled.policy == nullptr) {
      ++refused_;
      return;
    }
    const Status applied = fixture_->tables().Put(policy->name, compiled.policy, {});
    ASSERT_TRUE(applied.ok()) << applied;
    for (int i = 0; i < kCalls; ++i) {
      CompareCall(*policy, call, types);
      if (testing::Test::HasFatalFailure()) break;
    }
    ASSERT_TRUE(fixture_->tables().Remove(policy->name).ok());
  }

  // Calls with random arguments, and returns what they were. Its records are in the ring.
  Facts Call(const HarmlessCall& call, const std::vector<ArgType>& types) {
    Facts facts{.subject = {.host = true}, .process = process_, .args = {}, .data = {}, .result = {}};
    std::vector<CallArgument> arguments;
    for (const ArgType type : types) {
      facts.args.push_back(random_.AnyValue(type));
      arguments.emplace_back(&facts.args.back(), type, &random_);
    }
    long registers[4] = {call.before, 0, 0, 0};
    for (std::size_t i = 0; i < arguments.size(); ++i) registers[call.first + i] = arguments[i].value();
    fixture_->Take();
    const long result = syscall(call.number, registers[0], registers[1], registers[2], registers[3]);
    facts.result.number = static_cast<std::uint64_t>(result < 0 ? -errno : result);
    return facts;
  }

  void CompareCall(const TracingPolicy& policy, const HarmlessCall& call, const std::vector<ArgType>& types) {
    const Facts facts = Call(call, types);
    const auto expected = policy::tracing::Evaluate(policy, policy.hooks[0], facts, RandomHooks::Options());
    std::optional<std::size_t> found;
    for (const HookRecord& record : fixture_->Take()) {
      if (record.event.tid == static_cast<__u32>(gettid())) found = record.event.selector;
    }
    const std::optional<std::size_t> wanted = expected.event ? expected.selector : std::nullopt;
    ++(wanted ? matched_ : not_matched_);
    ASSERT_EQ(found, wanted) << call.function << ", policy " << next_;
  }

  HookFixture* fixture_;
  RandomHooks random_;
  ProcessFacts process_;
  int next_ = 0, matched_ = 0, not_matched_ = 0, refused_ = 0;
};

TEST_P(HookReference, TheKernelSelectsAsTheReferenceDoes) {
  Reference reference(&fixture(), kSeed);
  for (int i = 0; i < kPolicies && !HasFatalFailure(); ++i) reference.Run();
  EXPECT_GT(reference.matched(), 200);
  EXPECT_GT(reference.not_matched(), 200);
  EXPECT_LT(reference.refused(), kPolicies / 3);
}

// Up to 64 hooks have a bit of their own in the index of their point; of more, some share one.
TEST_P(HookReference, ManyPoliciesOnOneCallSelectAsTheReferenceDoes) {
  Reference reference(&fixture(), kSeed);
  for (const int policies : {3, 20, 60, 150}) {
    reference.RunTogether(policies);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(reference.matched(), 500);
  EXPECT_GT(reference.not_matched(), 500);
}

}  // namespace
}  // namespace sluice::test
