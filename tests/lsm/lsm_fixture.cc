#include "tests/lsm/lsm_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "kernel/bpf/system_call.h"
#include "policy/lsm/compile.h"
#include "policy/lsm/parser.h"
#include "tests/support/environment.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOperations[] = {
#define SL_X(name, label) label,
    SL_LSM_OPERATIONS(SL_X)
#undef SL_X
};

std::optional<std::uint32_t> CallNumberOf(std::string_view name) { return bpf::FindSystemCall(name).number; }

LsmRecord ToLsmRecord(const void* bytes, std::size_t size) {
  LsmRecord record;
  if (size < sizeof(record.event)) std::abort();
  std::memcpy(&record.event, bytes, sizeof(record.event));
  const std::string data(static_cast<const char*>(bytes) + sizeof(record.event), size - sizeof(record.event));
  const sl_lsm_event& event = record.event;
  if (data.size() != std::size_t{event.path_length} + event.program_length + event.arguments_length) std::abort();
  record.path = data.substr(0, event.path_length);
  record.program = data.substr(event.path_length, event.program_length);
  record.arguments = data.substr(std::size_t{event.path_length} + event.program_length);
  return record;
}

LsmFixture* SharedFixture(std::string* error) {
  static std::unique_ptr<LsmFixture> shared;
  if (shared == nullptr) {
    auto made = LsmFixture::Create({});
    if (made.ok())
      shared = *std::move(made);
    else
      *error = std::string(made.status().message());
  }
  return shared.get();
}

}  // namespace

Cgroup::Cgroup() {
  const std::string root = fs::exists("/sys/fs/cgroup/cgroup.procs") ? "/sys/fs/cgroup" : "/sys/fs/cgroup/unified";
  path_ = root + "/sluice-lsm-XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) std::abort();
}

Cgroup::~Cgroup() {
  for (int i = 0; i < 100 && rmdir(path_.c_str()) != 0 && errno == EBUSY; ++i) usleep(10'000);
}

std::uint64_t Cgroup::id() const {
  struct stat facts {};
  if (stat(path_.c_str(), &facts) != 0) std::abort();
  return facts.st_ino;
}

void Cgroup::Enter() const {
  const int procs = open((path_ + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
  if (procs < 0 || write(procs, "0", 1) != 1) _exit(98);
  close(procs);
}

std::string MissingForLsm() {
  const Status status = lsm::CheckKernel();
  return status.ok() ? "" : std::string(status.message());
}

std::vector<std::shared_ptr<const policy::lsm::Policy>> ParseLsm(const std::vector<std::string>& specs,
                                                                 policy::lsm::Policy::Kind kind) {
  std::vector<std::shared_ptr<const policy::lsm::Policy>> policies;
  for (const std::string& spec : specs) {
    const auto visit = [&](const policy::YamlNode& root, int) {
      const policy::Document document{.origin = "p.yaml", .subject = "policy"};
      const std::string ns = kind == policy::lsm::Policy::Kind::kPods ? "shop" : "";
      const std::string name(1, static_cast<char>('a' + policies.size()));
      auto policy = policy::lsm::ParsePolicy(policy::Field(document, root), kind, {.ns = ns, .name = name});
      EXPECT_TRUE(policy.ok()) << spec << ": " << policy.status();
      if (policy.ok()) policies.push_back(*std::move(policy));
    };
    const auto error = policy::ParseYaml("spec: " + spec + "\n", visit);
    EXPECT_FALSE(error.has_value()) << spec << ": " << (error ? error->what : "");
  }
  return policies;
}

StatusOr<std::unique_ptr<LsmFixture>> LsmFixture::Create(const lsm::StoreOptions& options) {
  auto fixture = std::make_unique<LsmFixture>();
  SL_ASSIGN_OR_RETURN(fixture->store_, lsm::LsmStore::Create(options));
  SL_RETURN_IF_ERROR(
      fixture->store_->SetSubjects({{.key = "shop/web", .cgroups = {fixture->cgroup_.id()}, .netns = {}}}));
  return fixture;
}

Status LsmFixture::Apply(const std::vector<std::string>& specs, const policy::lsm::Postures& postures) {
  return Apply(ParseLsm(specs), postures);
}

Status LsmFixture::Apply(const std::vector<std::shared_ptr<const policy::lsm::Policy>>& policies,
                         const policy::lsm::Postures& postures) {
  SL_ASSIGN_OR_RETURN(auto compiled,
                      policy::lsm::Compile({{.key = "shop/web", .policies = policies, .postures = postures}},
                                           {.seed = 0x51ce, .syscall_number = CallNumberOf}));
  return store_->Replace(std::move(compiled));
}

std::vector<LsmRecord> LsmFixture::Take() {
  std::vector<LsmRecord> records;
  store_->Drain([&](const void* bytes, std::size_t size) { records.push_back(ToLsmRecord(bytes, size)); });
  return records;
}

std::string LsmFixture::Describe(const LsmRecord& record) const {
  const sl_lsm_event& event = record.event;
  const auto rule = store_->Describe(event.generation, event.rule);
  const char* const reason = event.reason == SL_LSM_BY_POSTURE   ? "posture "
                             : event.reason == SL_LSM_UNREADABLE ? "unreadable "
                                                                 : "";
  return fmt::format("{} {} {}{} {}", kOperations[event.operation], event.verdict == SL_LSM_BLOCK ? "Block" : "Audit",
                     reason, rule ? rule->rule->field : "(unknown rule)", record.path);
}

void LsmTest::SetUp() {
  SL_REQUIRE_BPF();
  if (const std::string missing = MissingForLsm(); !missing.empty()) GTEST_SKIP() << missing;
  std::string error;
  fixture_ = SharedFixture(&error);
  ASSERT_NE(fixture_, nullptr) << error;
  fixture_->Take();
}

void LsmTest::TearDown() {
  if (fixture_ == nullptr) return;
  const Status removed = Apply({});
  EXPECT_TRUE(removed.ok()) << removed;
  fixture_->Take();
}

int LsmTest::RunIn(const Cgroup& cgroup, const std::function<int()>& body) {
  const int status = Reap(Fork([&] {
    cgroup.Enter();
    _exit(body());
  }));
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::string LsmTest::Seen() {
  std::string all;
  for (const LsmRecord& record : fixture().Take()) all += (all.empty() ? "" : ", ") + fixture().Describe(record);
  return all;
}

int ErrorOf(long result) { return result < 0 ? errno : 0; }

int OpenError(const std::string& path, int flags) { return ErrorOf(open(path.c_str(), flags | O_CLOEXEC, 0644)); }

int ExecError(const std::vector<std::string>& arguments) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  return ErrorOf(execv(pointers[0], pointers.data()));
}

}  // namespace sluice::test
