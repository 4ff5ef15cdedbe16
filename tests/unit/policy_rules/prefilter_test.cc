// What is left out can meet no rule: by the reference evaluator, on random rules and events.
#include "policy/rules/prefilter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "policy/rules/event_sets.h"
#include "tests/unit/policy_rules/random_condition.h"
#include "tests/unit/policy_rules/scene.h"

namespace sluice::policy::rules {
namespace {

Rule FilteredRule(const std::string& condition) {
  Rule rule;
  rule.name = rule.condition_text = condition;
  rule.condition = BoundOf(condition);
  rule.event_types = EventTypesOf(*rule.condition);
  return rule;
}

Prefilter FilterOf(const std::vector<std::string>& conditions) {
  std::vector<Rule> rules;
  for (const std::string& condition : conditions) rules.push_back(FilteredRule(condition));
  return Prefilter({Ruleset::Compile(rules)});
}

bool Holds(const NameTest& test, const Descriptor& descriptor) {
  const std::string ended = descriptor.name + '\0';
  switch (test.kind) {
    case NameTest::Kind::kPrefix:
      return ended.starts_with(test.text);
    case NameTest::Kind::kSuffix:
      return descriptor.name.ends_with(test.text);
    case NameTest::Kind::kPart:
      return descriptor.name.find(test.text) != std::string::npos;
    case NameTest::Kind::kRawPart:
      return descriptor.raw_name.find(test.text) != std::string::npos;
    case NameTest::Kind::kPort:
      return descriptor.ends && (std::to_string(descriptor.ends->client_port) == test.text ||
                                 std::to_string(descriptor.ends->server_port) == test.text);
  }
  return false;
}

EventClass OpenClass(const char* type, Outcome outcome, OpenMode mode = {.read = true}) {
  return {.type = *FindEventType(type),
          .outcome = outcome,
          .kinds = {DescriptorKind::kFile},
          .result_is_descriptor = true,
          .open = mode};
}

std::vector<std::string> NamesOf(const Prefilter& filter, const EventClass& known) {
  const auto tests = filter.NameTests(known);
  if (!tests) return {"ANY"};
  std::vector<std::string> names;
  for (const NameTest& test : *tests) {
    std::string text = test.text;
    std::replace(text.begin(), text.end(), '\0', '$');
    constexpr const char* kMarks[][2] = {
        {"^", ""}, {"", "$"}, {"*", "*"}, {"raw *", "*"}, {"port ", ""}};  // in the order of Kind
    const auto& marks = kMarks[static_cast<std::size_t>(test.kind)];
    names.push_back(marks[0] + text + marks[1]);
  }
  return names;
}

// Half of them ask for a name, as most rules about files do.
std::string RandomRule(RandomText& random) {
  if (random.Coin()) return random.Condition(3);
  std::string names;
  for (std::size_t i = 0; i <= random.Below(3); ++i) {
    const std::string op =
        random.Of({"= ", "startswith ", "endswith ", "contains ", "in (cat, ", "glob ", "pmatch (/etc, "});
    names += (names.empty() ? "" : " or ") + random.Of({"fd.name ", "fd.directory ", "fd.filename ", "fd.nameraw "}) +
             op + '"' + random.Word() + (op.find('(') == std::string::npos ? "\"" : "\")");
  }
  return "(" + names + ") and (" + random.Condition(2) + ")";
}

TEST(Prefilter, NothingThatARuleIsTrueForIsLeftOut) {
  std::size_t met = 0, left_out = 0, out_by_name = 0, out_by_container = 0;
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    RandomText random(seed);
    std::vector<Rule> rules;
    for (std::size_t i = 0; i < 1 + seed % 3; ++i) rules.push_back(FilteredRule(RandomRule(random)));
    const auto ruleset = Ruleset::Compile(rules);
    const Prefilter filter({ruleset, nullptr});
    for (int i = 0; i < 60; ++i) {
      RandomEvent one(random);
      Event& event = one.event;
      if (!event.result) event.result = random.Coin() ? -EINPROGRESS : 3;
      EventClass known{.type = event.type, .open = event.open};
      known.outcome = *event.result >= 0              ? Outcome::kSucceeded
                      : *event.result == -EINPROGRESS ? Outcome::kInProgress
                                                      : Outcome::kFailed;
      known.result_is_descriptor = random.Coin();
      if (known.result_is_descriptor) event.descriptor_number = *event.result < 0 ? -1 : *event.result;
      one.descriptor.raw_name = random.Of({"/etc//passwd", "a//b", "", "../sh", "x/etc/"});
      one.descriptor.is_open = !known.result_is_descriptor || *event.result >= 0;
      known.no_descriptor = event.descriptor == nullptr;
      if (!known.no_descriptor) known.kinds = {one.descriptor.kind, DescriptorKind::kMemfd};
      const bool matches =
          std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) { return Evaluate(*rule.condition, event); });
      const bool wanted = filter.Wants(known), place = filter.Wants(event.type, event.container);
      const auto tests = filter.NameTests(known);
      const bool named =
          !tests || event.descriptor == nullptr ||
          std::any_of(tests->begin(), tests->end(), [&](const NameTest& test) { return Holds(test, one.descriptor); });
      ASSERT_FALSE(tests && tests->empty() && wanted) << "seed " << seed;
      met += matches ? 1 : 0;
      left_out += wanted ? 0 : 1;
      out_by_container += wanted && !place ? 1 : 0;
      out_by_name += wanted && place && !named ? 1 : 0;
      ASSERT_TRUE(!matches || (wanted && place && named)) << "seed " << seed << ", event " << i;
    }
  }
  // The test means something.
  EXPECT_GT(met, 1'000U);
  EXPECT_GT(left_out, 1'000U);
  EXPECT_GT(out_by_container, 30U);
  EXPECT_GT(out_by_name, 30U);
}

TEST(Prefilter, CallsThatFailedAreLeftOutIfEveryRuleWantsSuccess) {
  const Prefilter filter = FilterOf({"evt.type in (open, openat) and evt.is_open_read=true and fd.num >= 0",
                                     "evt.type = connect and evt.rawres >= 0", "evt.type = creat and evt.failed=true"});
  EXPECT_TRUE(filter.Wants(OpenClass("openat", Outcome::kSucceeded)));
  EXPECT_FALSE(filter.Wants(OpenClass("openat", Outcome::kFailed)));
  EXPECT_FALSE(filter.Wants(OpenClass("openat", Outcome::kSucceeded, {.write = true})));
  EXPECT_FALSE(filter.Wants(OpenClass("openat2", Outcome::kSucceeded)));
  EXPECT_FALSE(filter.Wants(OpenClass("creat", Outcome::kSucceeded)));
  EXPECT_TRUE(filter.Wants(OpenClass("creat", Outcome::kFailed)));
  const EventType connect = *FindEventType("connect");
  EXPECT_TRUE(filter.Wants({.type = connect, .outcome = Outcome::kSucceeded, .kinds = {DescriptorKind::kIpv4}}));
  EXPECT_FALSE(filter.Wants({.type = connect, .outcome = Outcome::kInProgress, .kinds = {DescriptorKind::kIpv4}}));
}

TEST(Prefilter, ErrorsByNameCount) {
  const Prefilter filter = FilterOf({"evt.type = connect and (evt.rawres >= 0 or evt.res = EINPROGRESS)"});
  const EventType connect = *FindEventType("connect");
  EXPECT_TRUE(filter.Wants({.type = connect, .outcome = Outcome::kInProgress, .kinds = {DescriptorKind::kIpv4}}));
  EXPECT_FALSE(filter.Wants({.type = connect, .outcome = Outcome::kFailed, .kinds = {DescriptorKind::kIpv4}}));
}

TEST(Prefilter, KindsOfDescriptorsCount) {
  const Prefilter filter =
      FilterOf({"evt.type in (dup, dup2) and evt.rawres in (0, 1, 2) and fd.type in (ipv4, ipv6)"});
  const auto wants = [&](DescriptorKind kind) {
    return filter.Wants({.type = *FindEventType("dup2"), .kinds = {kind}, .result_is_descriptor = true});
  };
  EXPECT_TRUE(wants(DescriptorKind::kIpv4));
  EXPECT_TRUE(wants(DescriptorKind::kIpv6Listener));
  EXPECT_FALSE(wants(DescriptorKind::kFile));
  EXPECT_FALSE(filter.Wants({.type = *FindEventType("dup2"), .no_descriptor = true, .result_is_descriptor = true}));
  EXPECT_TRUE(filter.Wants({.type = *FindEventType("dup2"), .result_is_descriptor = true}));  // not known
}

TEST(Prefilter, TheContainerDecides) {
  const Prefilter filter = FilterOf({"evt.type = openat and container.id != host and k8s.ns.name = shop",
                                     "evt.type = execve and container.id = host", "evt.type = dup and proc.name = x"});
  Container in_shop;
  in_shop.id = "0123456789ab";
  in_shop.pod_namespace = "shop";
  Container elsewhere = in_shop;
  elsewhere.pod_namespace = "lab";
  const EventType openat = *FindEventType("openat"), execve = *FindEventType("execve");
  EXPECT_TRUE(filter.Wants(openat, &in_shop));
  EXPECT_FALSE(filter.Wants(openat, &elsewhere));
  EXPECT_FALSE(filter.Wants(openat, &HostContainer()));
  EXPECT_TRUE(filter.Wants(openat, nullptr));
  EXPECT_FALSE(filter.Wants(execve, &in_shop));
  EXPECT_TRUE(filter.Wants(execve, &HostContainer()));
  EXPECT_TRUE(filter.Wants(*FindEventType("dup"), &elsewhere));
  EXPECT_FALSE(filter.Wants(*FindEventType("read"), nullptr));
}

TEST(Prefilter, NamesAreTestedByBeginningAndEnd) {
  const Prefilter filter = FilterOf({
      "evt.type=openat and evt.is_open_read=true and (fd.name in (/etc/shadow, /etc/sudoers) or fd.name startswith "
      "/root/)",
      "evt.type=openat and evt.is_open_read=true and proc.name=cat and fd.name endswith .pem",
      "evt.type=openat and evt.is_open_write=true and (fd.directory=/var/log or fd.filename=wtmp) and not fd.name=/x",
      "evt.type=openat and evt.is_open_write=true and evt.is_open_create=true and fd.name contains x",
      "evt.type=openat2 and fd.name pmatch (/usr/bin, /opt/*/lib)",
      "evt.type=open and fd.name glob /home/*/.ssh/*",
      "evt.type=creat and not fd.name startswith /tmp",
      "evt.type=mkdir and (fd.name startswith /etc or fd.name icontains id_rsa) and fd.nameraw contains ../x/y",
  });
  using Names = std::vector<std::string>;
  EXPECT_EQ(NamesOf(filter, OpenClass("openat", Outcome::kSucceeded)),
            (Names{"^/etc/shadow$", "^/etc/sudoers$", "^/root/", ".pem$"}));
  EXPECT_EQ(NamesOf(filter, OpenClass("openat", Outcome::kSucceeded, {.write = true})),
            (Names{"^/var/log$", "^/var/log/", "/wtmp$"}));
  EXPECT_EQ(NamesOf(filter, OpenClass("openat", Outcome::kSucceeded, {.write = true, .create = true})),
            (Names{"^/var/log$", "^/var/log/", "/wtmp$", "*x*"}));
  EXPECT_EQ(NamesOf(filter, OpenClass("openat2", Outcome::kSucceeded)), (Names{"^/opt", "^/usr/bin"}));
  EXPECT_EQ(NamesOf(filter, OpenClass("open", Outcome::kSucceeded)), Names{"^/home/"});
  EXPECT_EQ(NamesOf(filter, OpenClass("creat", Outcome::kSucceeded)), Names{"ANY"});
  EXPECT_EQ(NamesOf(filter, OpenClass("mkdir", Outcome::kSucceeded)), Names{"raw *../*"});
  EXPECT_EQ(NamesOf(filter, OpenClass("mkdirat", Outcome::kSucceeded)), Names{});
}

TEST(Prefilter, PortsAreTested) {
  const Prefilter filter = FilterOf({
      "evt.type = connect and fd.sport in (3333, 25) and proc.name = x",
      "evt.type = connect and fd.l4proto = tcp and fd.port = 22",
      "evt.type = sendto and not fd.sport = 53",
      "evt.type = dup and fd.sip = 10.0.0.1",
  });
  const auto of = [](const char* type, DescriptorKind kind) {
    return EventClass{.type = *FindEventType(type), .outcome = Outcome::kSucceeded, .kinds = {kind}};
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(NamesOf(filter, of("connect", DescriptorKind::kIpv4)), (Names{"port 22", "port 25", "port 3333"}));
  EXPECT_EQ(NamesOf(filter, of("connect", DescriptorKind::kUnix)), Names{});  // it has no ports
  EXPECT_EQ(NamesOf(filter, of("sendto", DescriptorKind::kIpv6)), Names{"ANY"});
  EXPECT_TRUE(filter.Wants(of("dup", DescriptorKind::kIpv4)));
  EXPECT_FALSE(filter.Wants(of("dup", DescriptorKind::kFile)));
}

TEST(Prefilter, KnowsTheFieldsThatAreAsked) {
  const Prefilter filter = FilterOf({"evt.type=execve and proc.env[LD_PRELOAD] exists and tolower(proc.name) = x"});
  EXPECT_TRUE(filter.Asks("proc.env"));
  EXPECT_TRUE(filter.Asks("proc.name"));
  EXPECT_FALSE(filter.Asks("evt.buffer"));
  EXPECT_FALSE(filter.Asks("fd."));
}

}  // namespace
}  // namespace sluice::policy::rules
