// The programs' verdicts about random operations under random policies are the reference evaluator's, on every kernel:
// also on those whose LSM hooks take no programs.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "bpf/lib/lsm_protocols.h"
#include "kernel/bpf/system.h"
#include "kernel/bpf/system_call.h"
#include "kernel/lsm/lsm_tables.h"
#include "policy/lsm/compile.h"
#include "policy/lsm/match.h"
#include "skel/lsm_judge_bpf.skel.h"
#include "tests/lsm/judge.h"
#include "tests/support/environment.h"
#include "tests/unit/policy_lsm/random_policies.h"

namespace sluice::test {
namespace {

using namespace policy::lsm;

struct SkeletonDeleter {
  void operator()(lsm_judge_bpf* skeleton) const { lsm_judge_bpf__destroy(skeleton); }
};

std::optional<std::uint32_t> CallNumber(std::string_view name) { return bpf::FindSystemCall(name).number; }

std::string Text(const Decision& decision) {
  std::string text(InfoOf(decision.action).name);
  if (decision.policy == nullptr || decision.action == Action::kAllow) return text;
  return fmt::format("{}{} by {} {}", text, decision.by_posture ? ", posture" : "", decision.policy->name.ToString(),
                     decision.rule->field);
}

class LsmJudge : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    skeleton_.reset(lsm_judge_bpf__open());
    ASSERT_NE(skeleton_, nullptr);
    ASSERT_EQ(bpf_map__set_max_entries(skeleton_->maps.lsm_scratches, 1), 0);
    ASSERT_EQ(lsm_judge_bpf__load(skeleton_.get()), 0);
    auto tables =
        lsm::LsmTables::Bind([&](const char* name) { return bpf_object__find_map_fd_by_name(skeleton_->obj, name); });
    ASSERT_TRUE(tables.ok()) << tables.status();
    tables_ = std::make_unique<lsm::LsmTables>(*std::move(tables));
  }

  void PutInForce(std::shared_ptr<const Compiled> compiled) {
    compiled_ = std::move(compiled);
    const Status written = tables_->Write(*compiled_, {});
    ASSERT_TRUE(written.ok()) << written;
    tables_->PutInForce();
  }

  // What the kernel says, as Text does.
  std::string Judge(sl_judge_case one) {
    const auto half = static_cast<std::uint32_t>(tables_->generation() % SL_LSM_HALVES);
    one.profile = half * SL_LSM_PROFILES;
    const __u32 zero = 0;
    const int cases = bpf_map__fd(skeleton_->maps.judge_cases);
    if (bpf_map_update_elem(cases, &zero, &one, BPF_ANY) != 0) return "the map refuses";
    LIBBPF_OPTS(bpf_test_run_opts, options);
    if (const int rc = bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.judge), &options); rc != 0)
      return fmt::format("test run: {}", rc);
    if (bpf_map_lookup_elem(cases, &zero, &one) != 0) return "the map refuses";
    if (one.verdict == SL_LSM_PASS) return "Allow";
    const CompiledRule& rule = compiled_->rules.at(one.rule % SL_LSM_RULES);
    return fmt::format("{}{} by {} {}", one.verdict == SL_LSM_BLOCK ? "Block" : "Audit",
                       one.reason == SL_LSM_BY_POSTURE ? ", posture" : "", rule.policy->name.ToString(),
                       rule.rule->field);
  }

  static void Put(const std::string& text, __u8* to, __u32* length) {
    std::memcpy(to, text.data(), text.size());
    *length = static_cast<__u32>(text.size());
  }

  static sl_judge_case CaseOf(const Subject& subject, const Operation& operation) {
    sl_judge_case one{};
    Put(subject.program, one.program, &one.program_length);
    one.uid = one.owner = subject.uid;
    one.terminal = subject.terminal ? 1 : 0;
    for (const PresetInfo& info : kPresets) {
      if (Matches(info.preset, operation)) one.presets |= 1U << static_cast<unsigned>(info.preset);
    }
    if (const auto* execution = std::get_if<Execution>(&operation)) {
      one.section = SL_LSM_PROCESS;
      one.owner = execution->owner;
      Put(execution->path, one.path, &one.path_length);
      for (const std::string& argument : execution->args)
        std::strcpy(reinterpret_cast<char*>(one.arguments[one.argument_count++]), argument.c_str());
    } else if (const auto* opening = std::get_if<Opening>(&operation)) {
      one.section = SL_LSM_FILE;
      one.owner = opening->owner;
      one.writes = opening->writes ? 1 : 0;
      Put(opening->path, one.path, &one.path_length);
    } else if (const auto* creation = std::get_if<SocketCreation>(&operation)) {
      const SocketFacts& socket = creation->socket;
      one.how = SL_JUDGE_NUMBERS;
      one.section = SL_LSM_NETWORK;
      one.numbers = sl_lsm_protocols_of(socket.family, socket.type, socket.protocol);
    } else if (const auto* use = std::get_if<CapabilityUse>(&operation)) {
      one.how = SL_JUDGE_NUMBER;
      one.section = SL_LSM_CAPABILITIES;
      one.numbers = use->capability;
    } else if (const auto* called = std::get_if<SystemCallUse>(&operation)) {
      one.how = called->path.empty() ? SL_JUDGE_NUMBER : SL_JUDGE_PATH;
      one.section = called->path.empty() ? SL_LSM_SYSCALLS : SL_LSM_SYSCALL_PATHS;
      one.call = one.numbers = CallNumber(called->name).value();
      Put(called->path, one.path, &one.path_length);
    } else {
      one.how = SL_JUDGE_PRESETS;
      one.section = SL_LSM_NO_SECTION;
    }
    return one;
  }

  std::unique_ptr<lsm_judge_bpf, SkeletonDeleter> skeleton_;
  std::unique_ptr<lsm::LsmTables> tables_;
  std::shared_ptr<const Compiled> compiled_;
};

std::vector<std::shared_ptr<const Policy>> Parsed(const std::vector<std::string>& specs) {
  std::vector<std::shared_ptr<const Policy>> policies;
  for (const std::string& spec : specs) {
    // Lenient: random rules may be without effect.
    ParsedSpec parsed =
        ParseSpec(spec, {.lenient = true, .name = std::string(1, static_cast<char>('a' + policies.size()))});
    if (parsed.policy != nullptr) policies.push_back(std::move(parsed.policy));
  }
  return policies;
}

int Worlds() {
  const char* const text = std::getenv("SLUICE_DIFFERENTIAL_WORLDS");
  return text == nullptr ? 300 : std::atoi(text);
}

TEST_F(LsmJudge, SaysWhatTheReferenceSays) {
  RandomPolicies random(20261202);
  std::map<Action, int> seen;
  for (int world = 0; world < Worlds(); ++world) {
    const std::vector<std::string> specs = random.Specs();
    const auto policies = Parsed(specs);
    if (policies.empty()) continue;
    const Postures postures = random.AnyPostures();
    const auto compiled =
        Compile({{.key = "w", .policies = policies, .postures = postures}}, {.seed = 77, .syscall_number = CallNumber});
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    PutInForce(*compiled);
    std::vector<Policy> only_paths;
    std::vector<const Policy*> all, some;
    only_paths.reserve(policies.size());
    for (const auto& policy : policies) {
      all.push_back(policy.get());
      only_paths.push_back(*policy);
      std::erase_if(only_paths.back().syscalls, [](const SyscallRule& rule) { return !rule.path; });
      some.push_back(&only_paths.back());
    }
    for (int i = 0; i < 40; ++i) {
      const Subject subject = random.AnySubject();
      const Operation operation = random.AnyOperation();
      const auto* const use = std::get_if<SystemCallUse>(&operation);
      const bool about_path = use != nullptr && !use->path.empty();
      const Decision expected = Evaluate(about_path ? some : all, postures, subject, operation);
      ++seen[expected.action];
      ASSERT_EQ(Judge(CaseOf(subject, operation)), Text(expected))
          << "world " << world << ", operation " << operation.index() << "\n"
          << fmt::format("{}", fmt::join(specs, "\n"));
    }
  }
  for (const Action action : {Action::kAllow, Action::kAudit, Action::kBlock}) EXPECT_GT(seen[action], Worlds());
}

// Paths as long as the kernel has them, and targets of every length.
TEST_F(LsmJudge, LongPathsAreComparedToTheirEnd) {
  std::string path = "/a";
  while (path.size() < 4000) path += "/" + std::string(199, 'b');
  path += '/';
  path.resize(4095, 'c');
  const auto policies = Parsed({"{file: {matchPaths: [{path: " + path + "}], matchDirectories: [{dir: " +
                                path.substr(0, path.rfind('/') + 1) + ", action: Audit}]}}"});
  ASSERT_EQ(policies.size(), 1U);
  const auto compiled = Compile({{.key = "w", .policies = policies}}, {.seed = 1});
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  PutInForce(*compiled);
  EXPECT_EQ(Judge(CaseOf({}, Opening{.path = path})), "Block by shop/a spec.file.matchPaths[0]");
  for (const std::size_t length : {4094U, 4090U, 4088U, 4087U})
    EXPECT_EQ(Judge(CaseOf({}, Opening{.path = path.substr(0, length)})),
              "Audit by shop/a spec.file.matchDirectories[0]");
  path.back() = 'd';
  EXPECT_EQ(Judge(CaseOf({}, Opening{.path = path})), "Audit by shop/a spec.file.matchDirectories[0]");
  EXPECT_EQ(Judge(CaseOf({}, Opening{.path = path.substr(0, 3000)})), "Allow");
}

TEST(LsmProtocols, AreThoseOfTheReference) {
  for (const int family : {0, 1, 2, 3, 10, 16, 17, 38, 40}) {
    for (int type = 0; type < 12; ++type) {
      for (const int protocol : {0, 1, 6, 17, 58, 132, 136, 262, 255}) {
        std::uint32_t expected = 0;
        for (const ProtocolInfo& info : kProtocols) {
          if (Matches(info.protocol, SocketFacts{family, type, protocol}))
            expected |= 1U << static_cast<unsigned>(info.protocol);
        }
        EXPECT_EQ(sl_lsm_protocols_of(family, type, protocol), expected) << family << " " << type << " " << protocol;
      }
    }
  }
}

}  // namespace
}  // namespace sluice::test
