// The facts that policy can see about real processes. A fixture over the sensors' own tables.
#pragma once

#include <signal.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tests/probes/sensor_test.h"

namespace sluice::test {

inline std::string Sleep() { return std::filesystem::canonical("/bin/sleep"); }

struct Facts {
  std::string program;  // empty: not known
  std::string script;
  std::vector<std::string> ancestors;
  bool more_ancestors = false;
  std::uint64_t binaries = 0;  // patterns of epoch 0
  std::uint64_t by_ancestor = 0;
};

class ProcessClassTest : public SensorTest {
 protected:
  void SetUp() override {
    SensorTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const auto bind = [&](auto& map, const char* name) {
      auto bound = std::remove_reference_t<decltype(map)>::Bind(fixture().sensor().map_fd(name), name);
      ASSERT_TRUE(bound.ok()) << bound.status();
      map = *bound;
    };
    bind(patterns_, "program_patterns");
    bind(programs_, "programs");
    bind(classes_, "process_classes");
    bind(numbers_, "process_class_numbers");
    bind(processes_, "processes");
    SetPatterns({});
  }

  void SetPatterns(const std::vector<std::string>& patterns, std::uint32_t epoch = 0) {
    for (std::uint32_t bit = 0; bit < SL_MAX_PROGRAM_PATTERNS; ++bit) {
      sl_program_pattern pattern{};
      if (bit < patterns.size()) {
        pattern.length = static_cast<std::uint32_t>(patterns[bit].size());
        patterns[bit].copy(pattern.text, sizeof(pattern.text));
      }
      ASSERT_TRUE(patterns_.Put(epoch * SL_MAX_PROGRAM_PATTERNS + bit, pattern).ok());
    }
  }

  // The facts of a running process.
  Facts Of(pid_t pid) {
    std::map<std::uint32_t, std::string> names;
    EXPECT_TRUE(programs_
                    .ForEachBatch([&](const sl_program_path& path, const sl_program& program) {
                      names[program.number] = path.text;
                    })
                    .ok());
    const auto process = processes_.Get(static_cast<std::uint32_t>(pid));
    EXPECT_TRUE(process.ok() && *process) << pid;
    if (!process.ok() || !*process) return {};
    const auto one = classes_.Get((*process)->process_class);
    EXPECT_TRUE(one.ok() && *one) << "class " << (*process)->process_class;
    if (!one.ok() || !*one) return {};
    Facts facts;
    facts.program = names[(*one)->facts.program];
    facts.script = names[(*one)->facts.script];
    for (const std::uint32_t ancestor : (*one)->facts.ancestors)
      if (ancestor != 0) facts.ancestors.push_back(names[ancestor]);
    facts.more_ancestors = ((*one)->facts.flags & SL_CLASS_MORE_ANCESTORS) != 0;
    facts.binaries = (*one)->binaries[0];
    facts.by_ancestor = (*one)->ancestors[0];
    return facts;
  }

  // The facts of a child that executes `file`; the program must not end by itself.
  Facts AfterExec(
      const std::string& file, const std::vector<std::string>& arguments, const std::function<void()>& before = [] {}) {
    const pid_t child = Fork([&] {
      before();
      Exec(file, arguments);
    });
    const auto exec = fixture().WaitForExec(child);
    EXPECT_TRUE(exec.ok()) << exec.status();
    const Facts facts = Of(child);
    kill(child, SIGKILL);
    Reap(child);
    return facts;
  }

  bpf::Map<std::uint32_t, sl_program_pattern> patterns_;
  bpf::Map<sl_program_path, sl_program> programs_;
  bpf::Map<sl_process_class_number, sl_process_class> classes_;
  bpf::Map<sl_process_facts, sl_process_class_number> numbers_;
  bpf::Map<std::uint32_t, sl_process> processes_;
};

}  // namespace sluice::test
