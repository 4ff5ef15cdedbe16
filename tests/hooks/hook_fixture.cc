#include "tests/hooks/hook_fixture.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "kernel/bpf/system_call.h"
#include "kernel/bpf/tracing_files.h"
#include "kernel/bpf/type_resolver.h"
#include "kernel/hooks/program_files.h"
#include "policy/tracing/compile.h"
#include "policy/tracing/parser.h"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

StatusOr<hooks::CompiledPolicyPtr> CompileText(const std::string& text) {
  std::shared_ptr<const policy::tracing::TracingPolicy> policy;
  std::string problem;
  const auto error = policy::ParseYaml(text, [&](const policy::YamlNode& root, int) {
    const policy::Document document{.origin = "policy.yaml", .subject = "the policy"};
    const policy::Field field(document, root);
    policy::ObjectName name;
    for (const auto& entry : root.Find("metadata")->entries) {
      if (entry.key == "name") name.name = entry.value->scalar;
      if (entry.key == "namespace") name.ns = entry.value->scalar;
    }
    auto parsed = policy::tracing::ParseTracingPolicy(field, name);
    if (parsed.ok()) policy = *std::move(parsed);
    if (!document.problems.empty()) problem = document.problems.front().what;
  });
  if (error) return InvalidError("{}", error->what);
  if (policy == nullptr) return InvalidError("{}", problem);
  const bpf::KernelTypeResolver types;
  const bpf::TracingFiles formats;
  const hooks::ProgramFiles programs;
  const auto number = [](std::string_view name) { return bpf::FindSystemCall(name).number; };
  auto compiled = policy::tracing::Compile(
      policy, {.types = &types, .formats = &formats, .programs = &programs, .syscall_number = number});
  if (compiled.policy == nullptr) return InvalidError("{}", compiled.problems.front().what);
  return compiled.policy;
}

HookRecord ToRecord(const void* bytes, std::size_t size) {
  HookRecord record;
  if (size < sizeof(record.event)) std::abort();
  std::memcpy(&record.event, bytes, sizeof(record.event));
  record.data.assign(static_cast<const char*>(bytes) + sizeof(record.event), size - sizeof(record.event));
  return record;
}

std::string TempPath() {
  std::string pattern = "/tmp/sluice-hooks-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  return pattern;
}

}  // namespace

std::string HookRecord::Text(int argument) const {
  const sl_hook_value& value = event.arguments[argument];
  if ((value.flags & SL_HOOK_VALUE_READ) == 0 || value.offset + value.length > data.size()) return "(not read)";
  return data.substr(value.offset, value.length);
}

StatusOr<std::unique_ptr<HookFixture>> HookFixture::Create(const bpf::HookProgramOptions& options) {
  auto fixture = std::make_unique<HookFixture>();
  SL_ASSIGN_OR_RETURN(fixture->programs_, bpf::HookPrograms::Load(options));
  SL_ASSIGN_OR_RETURN(fixture->tables_, hooks::HookTables::Create(fixture->programs_.get()));
  SL_RETURN_IF_ERROR(fixture->programs_->ReadEvents(
      [raw = fixture.get()](const void* bytes, std::size_t size) { raw->records_.push_back(ToRecord(bytes, size)); }));
  return fixture;
}

Status HookFixture::Apply(const std::string& text, hooks::PolicyState state) {
  SL_ASSIGN_OR_RETURN(const hooks::CompiledPolicyPtr compiled, CompileText(text));
  return tables_->Put(compiled->policy->name, compiled, state);
}

Status HookFixture::RemoveAll() {
  for (const hooks::PolicyInfo& info : tables_->List()) SL_RETURN_IF_ERROR(tables_->Remove(info.name));
  return tables_->SetSubjects({});
}

std::vector<HookRecord> HookFixture::Take() {
  programs_->Drain();
  return std::exchange(records_, {});
}

StatusOr<HookRecord> HookFixture::WaitFor(const std::function<bool(const HookRecord&)>& wanted, int seconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  std::size_t others = 0;
  do {
    programs_->Drain();
    for (std::size_t i = 0; i < records_.size(); ++i) {
      if (!wanted(records_[i])) continue;
      HookRecord found = std::move(records_[i]);
      records_.erase(records_.begin(), records_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      return found;
    }
    others += records_.size();
    records_.clear();
    programs_->Wait(20ms);
  } while (std::chrono::steady_clock::now() < deadline);
  return MakeError(absl::StatusCode::kDeadlineExceeded, "the record did not come within {} s; {} others did", seconds,
                   others);
}

std::uint64_t HookFixture::Count(const std::string& policy, sl_hook_count what) const {
  const auto counts = tables_->Counts({.ns = "", .name = policy});
  std::uint64_t sum = 0;
  if (counts.ok()) {
    for (const hooks::SelectorCounts& one : *counts) sum += one.counts.counts[what];
  }
  return sum;
}

std::string HookFixture::PolicyOf(const HookRecord& record) const {
  const auto described = tables_->Describe(record.event.hook, record.event.life);
  return described ? described->name.ToString() : "";
}

std::string PolicyText(const std::string& name, const std::string& spec) {
  return "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata:\n  name: " + name + "\nspec:\n  " + spec +
         "\n";
}

std::string PolicyText(const std::string& ns, const std::string& name, const std::string& spec) {
  return "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicyNamespaced\nmetadata:\n  name: " + name +
         "\n  namespace: " + ns + "\nspec:\n  " + spec + "\n";
}

int OpenFile(const std::string& path) {
  const long fd = syscall(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

Netns::Netns() {
  // A child makes it, so that this process stays where it is.
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNET) != 0) _exit(1);
    (void)!write(ends[1], "", 1);
    pause();
    _exit(0);
  }
  char byte;
  if (read(ends[0], &byte, 1) != 1) std::abort();
  fd_ = Fd(open(fmt::format("/proc/{}/ns/net", child).c_str(), O_RDONLY | O_CLOEXEC));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(ends[0]);
  close(ends[1]);
  struct stat facts {};
  if (fstat(fd_.get(), &facts) != 0) std::abort();
  inode_ = static_cast<std::uint32_t>(facts.st_ino);
}

void Netns::Enter() const {
  if (setns(fd_.get(), CLONE_NEWNET) != 0) _exit(99);
}

BpfMount::BpfMount() : path_(TempPath()) {
  if (mount("bpf", path_.c_str(), "bpf", 0, nullptr) != 0) std::abort();
}

BpfMount::~BpfMount() {
  umount2(path_.c_str(), MNT_DETACH);
  rmdir(path_.c_str());
}

}  // namespace sluice::test
