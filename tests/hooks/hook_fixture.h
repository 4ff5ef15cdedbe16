// Hook policies in this machine's kernel, from the text of a policy to the records of its events, and children that do
// what policies look for.
//
//   auto fixture = HookFixture::Create({});
//   (*fixture)->Apply(policy);
//   const pid_t child = Fork([] { OpenFile("/tmp/secret"); });   // tests/probes/sensor_fixture.h
//   const auto record = (*fixture)->WaitFor([&](const HookRecord& record) { return record.event.pid == child; });
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bpf/abi/hook.h"
#include "kernel/bpf/hook_programs.h"
#include "kernel/hooks/hook_tables.h"

namespace sluice::test {

struct HookRecord {
  sl_hook_event event{};
  std::string data;

  std::string Text(int argument) const;
  bool Did(sl_hook_action action) const { return (event.actions & action) != 0; }
};

class HookFixture {
 public:
  static StatusOr<std::unique_ptr<HookFixture>> Create(const bpf::HookProgramOptions& options);

  // Parses and compiles the document, and puts it in force.
  Status Apply(const std::string& text, hooks::PolicyState state = {});
  Status RemoveAll();

  bpf::HookPrograms& programs() { return *programs_; }
  hooks::HookTables& tables() { return *tables_; }

  // All records since the last call.
  std::vector<HookRecord> Take();
  // The next record for which `wanted` is true; drops those before it. DeadlineExceeded.
  StatusOr<HookRecord> WaitFor(const std::function<bool(const HookRecord&)>& wanted, int seconds = 10);
  // Of the policy's selectors together.
  std::uint64_t Count(const std::string& policy, sl_hook_count what) const;
  // "policy" of a record; empty: unknown.
  std::string PolicyOf(const HookRecord& record) const;

 private:
  std::unique_ptr<bpf::HookPrograms> programs_;
  std::unique_ptr<hooks::HookTables> tables_;
  std::vector<HookRecord> records_;
};

// A document of kind TracingPolicy; `spec` in flow style or indented by two.
std::string PolicyText(const std::string& name, const std::string& spec);
// The same of kind TracingPolicyNamespaced.
std::string PolicyText(const std::string& ns, const std::string& name, const std::string& spec);

// openat(2) itself. Returns the descriptor, or -errno.
int OpenFile(const std::string& path);

// A network namespace that lives as long as this object.
class Netns {
 public:
  Netns();
  std::uint32_t inode() const { return inode_; }
  void Enter() const;  // in a child

 private:
  Fd fd_;
  std::uint32_t inode_ = 0;
};

// A BPF file system that lives as long as this object.
class BpfMount {
 public:
  BpfMount();
  ~BpfMount();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace sluice::test
