#include "telemetry/tetragon/stream_filter.h"

#include <gmock/gmock.h>

namespace sluice::telemetry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// An exec of /usr/bin/cat in a pod, by bash, which sshd started.
TetragonEvent Exec() {
  TetragonEvent event;
  tetragon::Process& process = *event.message.mutable_process_exec()->mutable_process();
  process.mutable_pid()->set_value(42);
  process.set_binary("/usr/bin/cat");
  process.set_arguments("-n /etc/passwd");
  process.set_docker("0123456789abcdef0123456789abcde");
  process.mutable_in_init_tree()->set_value(true);
  process.mutable_cap()->add_effective(tetragon::CAP_NET_RAW);
  process.mutable_cap()->add_effective(tetragon::DAC_OVERRIDE);
  tetragon::Pod& pod = *process.mutable_pod();
  pod.set_namespace_("shop");
  pod.set_name("web-0");
  (*pod.mutable_pod_labels())["app"] = "web";
  pod.mutable_container()->set_name("main");
  tetragon::Process& parent = *event.message.mutable_process_exec()->mutable_parent();
  parent.mutable_pid()->set_value(41);
  parent.set_binary("/usr/bin/bash");
  parent.set_arguments("-l");
  event.ancestors = {"/usr/sbin/sshd"};
  return event;
}

// A kprobe on the host.
TetragonEvent Kprobe() {
  TetragonEvent event;
  event.message.mutable_process_kprobe()->mutable_process()->mutable_pid()->set_value(7);
  event.message.mutable_process_kprobe()->mutable_process()->set_binary("/usr/bin/cat");
  event.message.mutable_process_kprobe()->set_policy_name("files");
  return event;
}

TetragonEvent Loss() {
  TetragonEvent event;
  event.message.mutable_rate_limit_info()->set_number_of_dropped_process_events(3);
  return event;
}

StatusOr<StreamFilter> Allow(const std::function<void(tetragon::Filter&)>& fill) {
  tetragon::GetEventsRequest request;
  fill(*request.add_allow_list());
  return StreamFilter::Make(request);
}

bool Matches(const std::function<void(tetragon::Filter&)>& fill, const TetragonEvent& event) {
  auto filter = Allow(fill);
  EXPECT_TRUE(filter.ok()) << filter.status();
  return filter.ok() && filter->Matches(event);
}

struct Case {
  const char* name;
  std::function<void(tetragon::Filter&)> fill;
  bool exec, kprobe, loss;  // matches
};

const Case kCases[] = {
    {"nothing", [](auto&) {}, true, true, true},
    {"binary", [](auto& f) { f.add_binary_regex("cat"); }, true, true, false},
    {"binary, one of two",
     [](auto& f) {
       *f.add_binary_regex() = "^cat";
       *f.add_binary_regex() = "/cat$";
     },
     true, true, false},
    {"another binary", [](auto& f) { f.add_binary_regex("^cat"); }, false, false, false},
    {"namespace", [](auto& f) { f.add_namespace_("shop"); }, true, false, false},
    {"the host", [](auto& f) { f.add_namespace_(""); }, false, true, false},
    {"a part of a namespace", [](auto& f) { f.add_namespace_("sho"); }, false, false, false},
    {"namespace_regex", [](auto& f) { f.add_namespace_regex("^sh"); }, true, false, false},
    {"no health check", [](auto& f) { f.mutable_health_check()->set_value(false); }, true, true, true},
    {"health check", [](auto& f) { f.mutable_health_check()->set_value(true); }, false, false, false},
    {"pid", [](auto& f) { f.add_pid(42); }, true, false, false},
    {"pid_set", [](auto& f) { f.add_pid_set(42); }, true, false, false},
    {"pid_set of the parent", [](auto& f) { f.add_pid_set(41); }, true, false, false},
    {"event_set", [](auto& f) { f.add_event_set(tetragon::PROCESS_EXEC); }, true, false, false},
    {"two types",
     [](auto& f) {
       f.add_event_set(tetragon::PROCESS_KPROBE);
       f.add_event_set(tetragon::RATE_LIMIT_INFO);
     },
     false, true, true},
    {"pod", [](auto& f) { f.add_pod_regex("web-[0-9]"); }, true, false, false},
    {"arguments", [](auto& f) { f.add_arguments_regex("/etc/passwd"); }, true, false, false},
    {"labels", [](auto& f) { f.add_labels("app=web,tier!=db"); }, true, false, false},
    {"labels, one of two",
     [](auto& f) {
       f.add_labels("app=db");
       f.add_labels("app in (db, web)");
     },
     true, false, false},
    {"other labels", [](auto& f) { f.add_labels("!app"); }, false, false, false},
    {"policy", [](auto& f) { f.add_policy_names("files"); }, false, true, false},
    {"any capability",
     [](auto& f) {
       f.mutable_capabilities()->mutable_effective()->add_any(tetragon::CAP_NET_RAW);
       f.mutable_capabilities()->mutable_effective()->add_any(tetragon::CAP_SYS_ADMIN);
     },
     true, false, false},
    {"all capabilities",
     [](auto& f) {
       f.mutable_capabilities()->mutable_effective()->add_all(tetragon::CAP_NET_RAW);
       f.mutable_capabilities()->mutable_effective()->add_all(tetragon::CAP_SYS_ADMIN);
     },
     false, false, false},
    {"exactly these",
     [](auto& f) {
       f.mutable_capabilities()->mutable_effective()->add_exactly(tetragon::CAP_NET_RAW);
       f.mutable_capabilities()->mutable_effective()->add_exactly(tetragon::DAC_OVERRIDE);
     },
     true, false, false},
    {"not only these",
     [](auto& f) { f.mutable_capabilities()->mutable_effective()->add_exactly(tetragon::CAP_NET_RAW); }, false, false,
     false},
    {"none of these", [](auto& f) { f.mutable_capabilities()->mutable_effective()->add_none(tetragon::CAP_SYS_ADMIN); },
     true, false, false},
    {"parent", [](auto& f) { f.add_parent_binary_regex("bash$"); }, true, false, false},
    {"parent, not the process", [](auto& f) { f.add_parent_binary_regex("cat$"); }, false, false, false},
    {"parent's arguments", [](auto& f) { f.add_parent_arguments_regex("^-l$"); }, true, false, false},
    {"container", [](auto& f) { f.add_container_id("^0123"); }, true, false, false},
    {"container's name", [](auto& f) { f.add_container_name_regex("^main$"); }, true, false, false},
    {"init tree", [](auto& f) { f.mutable_in_init_tree()->set_value(true); }, true, false, false},
    // Tetragon takes it for false where it is not known.
    {"not in the init tree", [](auto& f) { f.mutable_in_init_tree()->set_value(false); }, false, true, true},
    {"ancestor", [](auto& f) { f.add_ancestor_binary_regex("sshd"); }, true, false, false},
    {"ancestor, not the parent", [](auto& f) { f.add_ancestor_binary_regex("bash"); }, false, false, false},
    {"two fields, both",
     [](auto& f) {
       f.add_namespace_("shop");
       f.add_binary_regex("cat");
     },
     true, false, false},
    {"two fields, one",
     [](auto& f) {
       f.add_namespace_("shop");
       f.add_binary_regex("dog");
     },
     false, false, false},
};

TEST(StreamFilterTest, EachFieldMatchesAsInTetragon) {
  for (const Case& one : kCases) {
    EXPECT_EQ(Matches(one.fill, Exec()), one.exec) << one.name;
    EXPECT_EQ(Matches(one.fill, Kprobe()), one.kprobe) << one.name;
    EXPECT_EQ(Matches(one.fill, Loss()), one.loss) << one.name;
  }
}

TEST(StreamFilterTest, OneOfTheAllowListAndNoneOfTheDenyList) {
  tetragon::GetEventsRequest request;
  EXPECT_TRUE(StreamFilter::Make(request)->Matches(Exec()));
  request.add_allow_list()->add_pid(1);
  EXPECT_FALSE(StreamFilter::Make(request)->Matches(Exec()));
  request.add_allow_list()->add_pid(42);
  EXPECT_TRUE(StreamFilter::Make(request)->Matches(Exec()));
  request.add_deny_list()->add_namespace_("shop");
  EXPECT_FALSE(StreamFilter::Make(request)->Matches(Exec()));
  request.mutable_deny_list(0)->add_binary_regex("dog");  // no longer all of it
  EXPECT_TRUE(StreamFilter::Make(request)->Matches(Exec()));
}

TEST(StreamFilterTest, APidSetFollowsDescendants) {
  auto filter = *Allow([](tetragon::Filter& f) {
    f.add_pid_set(41);
    f.add_event_set(tetragon::PROCESS_EXEC);
  });
  const auto exec = [](std::uint32_t pid, std::uint32_t parent) {
    TetragonEvent event;
    event.message.mutable_process_exec()->mutable_process()->mutable_pid()->set_value(pid);
    event.message.mutable_process_exec()->mutable_parent()->mutable_pid()->set_value(parent);
    return event;
  };
  EXPECT_FALSE(filter.Matches(exec(60, 50)));
  EXPECT_TRUE(filter.Matches(exec(50, 41)));
  EXPECT_TRUE(filter.Matches(exec(60, 50)));
  EXPECT_TRUE(filter.Matches(exec(70, 60)));
  EXPECT_FALSE(filter.Matches(exec(80, 1)));
  EXPECT_THAT(filter.types(), IsEmpty()) << "it learns from events of all types";
}

TEST(StreamFilterTest, APidSetIsBounded) {
  auto filter = *Allow([](tetragon::Filter& f) { f.add_pid_set(1); });
  TetragonEvent event;
  auto& process = *event.message.mutable_process_exec()->mutable_process();
  for (std::uint32_t pid = 2; pid < 3 + kMaxDescendants; ++pid) {
    process.mutable_pid()->set_value(pid);
    event.message.mutable_process_exec()->mutable_parent()->mutable_pid()->set_value(1);
    EXPECT_TRUE(filter.Matches(event));
  }
  event.message.mutable_process_exec()->mutable_parent()->mutable_pid()->set_value(1000000);
  process.mutable_pid()->set_value(2);
  EXPECT_FALSE(filter.Matches(event)) << "the oldest is forgotten";
  process.mutable_pid()->set_value(3);
  EXPECT_TRUE(filter.Matches(event));
}

TEST(StreamFilterTest, KnowsWhichTypesAreWanted) {
  const auto types = [](const std::function<void(tetragon::Filter&)>& fill) { return Allow(fill)->types(); };
  EXPECT_THAT(types([](tetragon::Filter&) {}), IsEmpty());
  EXPECT_THAT(types([](tetragon::Filter& f) { f.add_event_set(tetragon::PROCESS_EXIT); }),
              ElementsAre(tetragon::PROCESS_EXIT));
  EXPECT_FALSE(Allow([](tetragon::Filter& f) { f.add_event_set(tetragon::PROCESS_EXIT); })->wants_losses());
  EXPECT_FALSE(Allow([](tetragon::Filter&) {})->wants_losses());
  EXPECT_TRUE(Allow([](tetragon::Filter& f) { f.add_event_set(tetragon::RATE_LIMIT_INFO); })->wants_losses());
  tetragon::GetEventsRequest request;
  request.add_allow_list()->add_event_set(tetragon::PROCESS_EXIT);
  request.add_allow_list()->add_binary_regex("cat");
  EXPECT_THAT(StreamFilter::Make(request)->types(), IsEmpty()) << "the second one wants all";
}

TEST(StreamFilterTest, RefusesByName) {
  const auto refusal = [](const std::function<void(tetragon::Filter&)>& fill) {
    const auto filter = Allow(fill);
    EXPECT_EQ(filter.status().code(), absl::StatusCode::kInvalidArgument);
    return Message(filter.status());
  };
  EXPECT_THAT(refusal([](auto& f) { f.add_binary_regex("a"), f.add_binary_regex("("); }),
              HasSubstr("allow_list[0]: binary_regex: \"(\" is not a pattern (RE2): missing )"));
  EXPECT_THAT(refusal([](auto& f) { f.add_labels("app in ("); }), HasSubstr("allow_list[0]: labels: "));
  EXPECT_THAT(refusal([](auto& f) { f.add_cel_expression("true"); }), HasSubstr("allow_list[0]: cel_expression"));
  EXPECT_THAT(refusal([](auto& f) { f.mutable_capabilities()->mutable_permitted()->add_any(tetragon::CAP_KILL); }),
              HasSubstr("capabilities.permitted: only the effective set"));
  EXPECT_THAT(refusal([](auto& f) { f.mutable_capabilities()->mutable_inheritable()->add_any(tetragon::CAP_KILL); }),
              HasSubstr("capabilities.inheritable"));
  EXPECT_THAT(refusal([](auto& f) { f.mutable_capabilities(); }),
              HasSubstr("exactly one of any, all, exactly and none"));
  EXPECT_THAT(refusal([](auto& f) {
                f.mutable_capabilities()->mutable_effective()->add_any(tetragon::CAP_KILL);
                f.mutable_capabilities()->mutable_effective()->add_none(tetragon::CAP_KILL);
              }),
              HasSubstr("not 2"));
  EXPECT_THAT(refusal([](auto& f) { f.add_pod_regex(std::string(kMaxFilterText + 1, 'a')); }), HasSubstr("4097 bytes"));
  EXPECT_THAT(refusal([](auto& f) {
                for (std::size_t i = 0; i <= kMaxFilterValues; ++i) f.add_pid(1);
              }),
              HasSubstr("more than 512 values"));
  tetragon::GetEventsRequest request;
  for (int i = 0; i <= kMaxFilters; ++i) request.add_deny_list();
  EXPECT_THAT(Message(StreamFilter::Make(request).status()), HasSubstr("deny_list: it has 65 filters"));
}

}  // namespace
}  // namespace sluice::telemetry
