#include "policy/tracee/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "policy/tracee/events.h"
#include "tests/unit/policy_tracee/made_call.h"

namespace sluice::policy::tracee {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string Policy(const std::string& scope, const std::string& rules) {
  return "apiVersion: tracee.aquasec.com/v1beta1\nkind: Policy\nmetadata: {name: p, annotations: {description: why}}\n"
         "spec: {scope: " +
         scope + ", rules: " + rules + "}\n";
}

// The first problem, or "no error".
std::string ErrorOf(const std::string& text) {
  const LoadedPolicies loaded = LoadPolicies("p.yaml", text);
  return loaded.problems.empty() ? "no error" : loaded.problems.front().what;
}

std::vector<rules::Rule> RulesOf(const std::string& text) {
  LoadedPolicies loaded = LoadPolicies("p.yaml", text);
  EXPECT_THAT(loaded.problems, IsEmpty()) << ErrorOf(text);
  return std::move(loaded.rules);
}

bool IsHit(const std::string& text, Made made) { return !HitsOf(RulesOf(text), made).empty(); }

TEST(TraceePolicy, BothShapesAreRules) {
  const auto object = RulesOf(Policy("[global]", "[{event: openat}, {event: 'setuid,unlink'}]"));
  ASSERT_EQ(object.size(), 3U);
  EXPECT_EQ(object[0].name, "p: openat");
  EXPECT_EQ(object[0].description, "why");
  EXPECT_EQ(object[0].file, "p.yaml");
  EXPECT_EQ(object[0].place.line, 4);
  EXPECT_EQ(object[2].name, "p: unlink");
  const auto plain = RulesOf("type: policy\nname: q\nscope: [global]\nrules: [{event: openat, actions: [log]}]\n");
  ASSERT_EQ(plain.size(), 1U);
  EXPECT_EQ(plain[0].name, "q: openat");
  EXPECT_TRUE(plain[0].event_types.test(*rules::FindEventType("openat")));
  EXPECT_EQ(plain[0].event_types.count(), 1U);
  EXPECT_TRUE(IsPolicyText("type: policy\n"));
  EXPECT_FALSE(IsPolicyText("- rule: x\n"));
  EXPECT_FALSE(IsPolicyText("{apiVersion: v1, kind: Policy}"));
  EXPECT_FALSE(IsPolicyText("a: [\n"));
  EXPECT_FALSE(IsPolicyText("type: detector\n"));
}

TEST(TraceePolicy, ScopesAndFiltersDecide) {
  const auto policy = [](const std::string& scope, const std::string& filters) {
    return Policy("['" + scope + "']", "[{event: openat, filters: [" + filters + "]}]");
  };
  const Made made("openat");
  const std::vector<std::pair<std::string, bool>> scopes = {
      {"global", true},         {"comm=ls", true},          {"comm=cat,ls", true},
      {"comm=cat", false},      {"comm!=cat", true},        {"comm!=ls", false},
      {"uid=0", true},          {"uid>0", false},           {"uid>=0", true},
      {"uid<1", true},          {"uid!=0", false},          {"pid=1000", true},
      {"pid=7", false},         {"hostPid=1000", true},     {"container", true},
      {"not-container", false}, {"container=abc", true},    {"container=b", false},
      {"container=true", true}, {"container=false", false}, {"executable=/usr/bin/ls", true},
      {"bin=/usr/bin/*", true}, {"exec=*/ls", true},        {"exe=*bin*", true},
      {"binary=/bin/*", false},
  };
  for (const auto& [scope, hit] : scopes) EXPECT_EQ(IsHit(policy(scope, ""), made), hit) << scope;
  const std::vector<std::pair<std::string, bool>> filters = {
      {"data.pathname=/tmp*", true},
      {"args.pathname=/tmp/x", true},
      {"data.pathname=/etc*", false},
      {"data.pathname!=/etc*", true},
      {"data.pathname!=/tmp*", false},
      {"retval=3", true},
      {"retval<0", false},
      {"retval>=0", true},
      {"comm=ls", true},
      {"processId=7", true},
      {"retval!=3", false},
  };
  for (const auto& [filter, hit] : filters) EXPECT_EQ(IsHit(policy("global", "'" + filter + "'"), made), hit) << filter;
  EXPECT_TRUE(IsHit(policy("global", "'data.pathname=/etc*', 'data.pathname=/tmp*'"), made)) << "one of one name";
  EXPECT_FALSE(IsHit(policy("global", "'data.pathname=/tmp*', 'comm=cat'"), made)) << "all of different names";
  EXPECT_FALSE(IsHit(policy("global", "'data.pathname!=/tmp*', 'data.pathname!=/etc*'"), made)) << "and of !=";
  EXPECT_TRUE(IsHit(Policy("[uid=0, comm=ls]", "[{event: openat}]"), made));
  EXPECT_FALSE(IsHit(Policy("[uid=0, comm=cat]", "[{event: openat}]"), made));
  EXPECT_FALSE(IsHit(policy("global", ""), Made("open")));
}

TEST(TraceePolicy, APathIsTheKernelsWhereTraceeSaysSo) {
  const Made made("openat");
  EXPECT_TRUE(IsHit(Policy("[global]", "[{event: security_file_open, filters: ['data.pathname=/etc/shadow']}]"), made));
  EXPECT_FALSE(IsHit(Policy("[global]", "[{event: openat, filters: ['data.pathname=/etc/shadow']}]"), made));
  EXPECT_FALSE(IsHit(Policy("[global]", "[{event: security_file_open}]"), Made("openat", -2))) << "it failed";
  EXPECT_TRUE(IsHit(Policy("[global]", "[{event: openat}]"), Made("openat", -2)));
}

TEST(TraceePolicy, SignaturesAreThere) {
  Made memory("execve", 0);
  memory.process.executable.in_memory = true;
  EXPECT_TRUE(IsHit(Policy("[global]", "[{event: fileless_execution}]"), memory));
  memory.process.executable.in_memory = false;
  EXPECT_FALSE(IsHit(Policy("[global]", "[{event: fileless_execution}]"), memory));
  Made core("openat");
  core.descriptor.name = "/proc/kcore";
  EXPECT_TRUE(IsHit(Policy("[global]", "[{event: proc_kcore_read}]"), core));
  EXPECT_FALSE(IsHit(Policy("[not-container]", "[{event: proc_kcore_read}]"), core));
  core.event.open = rules::OpenMode{.write = true};
  EXPECT_FALSE(IsHit(Policy("[global]", "[{event: proc_kcore_read}]"), core));
}

TEST(TraceePolicy, WhatIsWrongOrMissingIsNamed) {
  const auto rule = [](const std::string& text) { return Policy("[global]", "[" + text + "]"); };
  const auto scope = [](const std::string& text) { return Policy("[" + text + "]", "[{event: openat}]"); };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {rule("{event: net_packet_dns}"),
       "spec.rules[0].event: \"net_packet_dns\": there is no such event here: packets' contents are not decoded"},
      {rule("{event: opennat}"), "spec.rules[0].event: \"opennat\": there is no such event here: did you mean openat?"},
      {rule("{event: 'openat,-open'}"),
       "spec.rules[0].event: \"-open\": events are excluded from a set only, and sets are not known here"},
      {rule("{event: openat}, {event: openat}"), "spec.rules[1].event: \"openat\": is there twice"},
      {rule("{filters: []}"), "spec.rules[0].event: missing"},
      {rule("{event: openat, when: x}"), "spec.rules[0].when: unknown field"},
      {rule("{event: openat, actions: [kill]}"), "spec.rules[0].actions[0]: unknown action \"kill\": there is log"},
      {rule("{event: openat, filters: ['data.mode=1']}"),
       "spec.rules[0].filters[0]: data.mode: of the event openat filters may name pathname, flags"},
      {rule("{event: kill, filters: ['data.pid=1']}"),
       "spec.rules[0].filters[0]: data.pid: of the event kill filters may name no data here"},
      {rule("{event: openat, filters: ['data.pathname']}"),
       "spec.rules[0].filters[0]: data.pathname: needs a value, as in data.pathname=VALUE"},
      {rule("{event: openat, filters: ['data.pathname>a']}"),
       "spec.rules[0].filters[0]: data.pathname: a text is compared by = and !="},
      {rule("{event: openat, filters: ['data.pathname=a*b']}"),
       "spec.rules[0].filters[0]: \"a*b\": \"*\" may be at the beginning and at the end only"},
      {rule("{event: openat, filters: ['retval=x']}"), "spec.rules[0].filters[0]: retval: \"x\" is no number"},
      {rule("{event: openat, filters: ['=x']}"), "spec.rules[0].filters[0]: \"=x\": no name"},
      {rule("{event: openat, filters: ['comm=']}"), "spec.rules[0].filters[0]: \"comm=\": an empty value"},
      {scope("global, uid=0"), "spec.scope: global cannot have another scope beside it"},
      {scope(""), "spec.scope: is empty: write global for every process"},
      {scope("mntns=5"), "spec.scope[0]: mntns: events do not say that here"},
      {scope("comn=x"), "spec.scope[0]: \"comn\": unknown: did you mean comm?"},
      {scope("container=new"), "spec.scope[0]: container=new: whether a container is new is not known here"},
      {scope("pid=new"), "spec.scope[0]: pid=new: which processes are new is not known here"},
      {scope("uid"), "spec.scope[0]: uid: needs a value, as in uid=VALUE"},
      {"apiVersion: tracee.aquasec.com/v1beta1\nkind: Detector\n", "is no policy of Tracee's"},
      {"type: policy\nscope: [global]\nrules: [{event: openat}]\n", "name: missing"},
      {"type: policy\nname: a\nrules: [{event: openat}]\n", "scope: missing"},
      {"type: policy\nname: a\nscope: [global]\nrules: []\n", "rules: is empty: the policy would do nothing"},
  };
  for (const auto& [text, error] : cases) EXPECT_EQ(ErrorOf(text), error) << text;
}

TEST(TraceePolicy, ErrorsHaveFileAndLine) {
  const LoadedPolicies loaded =
      LoadPolicies("p.yaml", "type: policy\nname: a\nscope:\n- global\nrules:\n- event: x_y_z\n");
  ASSERT_EQ(loaded.problems.size(), 1U);
  EXPECT_EQ(loaded.problems.front().ToString("p.yaml"),
            "p.yaml:6: Policy/a: rules[0].event: \"x_y_z\": there is no such event here");
  const LoadedPolicies twice =
      LoadPolicies("p.yaml", Policy("[global]", "[{event: open}]") + "---\n" + Policy("[global]", "[{event: open}]"));
  ASSERT_EQ(twice.problems.size(), 1U);
  EXPECT_THAT(twice.problems.front().what, HasSubstr("two policies are called \"p\""));
  EXPECT_EQ(twice.rules.size(), 1U) << "the first";
}

TEST(TraceePolicy, EachEventAndFieldOfTheTablesCompiles) {
  for (const EventInfo& event : Events()) {
    std::string filters;
    for (const DataField& data : event.data) {
      filters += fmt::format("{}'data.{}={}'", filters.empty() ? "" : ", ", data.name,
                             data.type == DataType::kNumber ? "1" : "a*");
    }
    const std::string text = Policy("[global]", fmt::format("[{{event: {}, filters: [{}]}}]", event.name, filters));
    EXPECT_EQ(ErrorOf(text), "no error") << event.name;
    for (const rules::Rule& rule : LoadPolicies("p.yaml", text).rules)
      EXPECT_LT(rule.event_types.count(), 10U) << event.name << " is for certain events only";
  }
  for (const ContextField& field : ContextFields()) {
    const std::string text =
        Policy(fmt::format("['{}={}']", field.name, field.type == DataType::kNumber ? "1" : "a"), "[{event: openat}]");
    EXPECT_EQ(ErrorOf(text), "no error") << field.name;
  }
}

}  // namespace
}  // namespace sluice::policy::tracee
