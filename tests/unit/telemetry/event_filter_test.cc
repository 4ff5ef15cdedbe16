#include "telemetry/event/event_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::telemetry {
namespace {

using Filter = v1::ObserveRequest::Filter;
using ::testing::HasSubstr;

v1::Event WebToDb() {
  v1::Event event;
  v1::Flow& flow = *event.mutable_flow();
  flow.set_type("flow");
  flow.set_verdict(v1::Flow::DROPPED);
  flow.mutable_source()->set_namespace_("shop");
  flow.mutable_source()->set_workload("web");
  flow.mutable_source()->mutable_process()->set_binary("/usr/bin/curl");
  flow.mutable_source()->mutable_process()->set_script("/opt/backup");
  (*flow.mutable_source()->mutable_labels())["app"] = "web";
  flow.mutable_ip()->set_source("10.1.0.2");
  flow.mutable_ip()->set_destination("10.1.0.3");
  flow.set_drop_reason("POLICY_DENIED");
  flow.mutable_l4()->set_protocol("TCP");
  v1::PolicyRef& policy = *flow.add_policies();
  policy.set_namespace_("bank");
  policy.set_name("closed");
  flow.mutable_destination()->set_namespace_("bank");
  flow.mutable_destination()->set_workload("db");
  flow.mutable_l4()->set_source_port(40000);
  flow.mutable_l4()->set_destination_port(5432);
  return event;
}

bool Matches(const Filter& filter, const v1::Event& event) {
  const auto made = EventFilter::Make(filter);
  EXPECT_TRUE(made.ok()) << made.status();
  return made.ok() && made->Matches(event);
}

Status CheckFilter(const Filter& filter) { return EventFilter::Make(filter).status(); }

bool Passes(void (*set)(Filter&)) {
  Filter filter;
  set(filter);
  return Matches(filter, WebToDb());
}

TEST(EventFilter, EmptyOneMatchesEverything) {
  EXPECT_TRUE(Matches({}, WebToDb()));
  EXPECT_TRUE(CheckFilter({}).ok());
}

TEST(EventFilter, ByType) {
  EXPECT_TRUE(Passes([](Filter& f) { f.set_type("flow"); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.set_type("exec"); }));
}

TEST(EventFilter, ByOwner) {
  v1::Event flow = WebToDb();
  flow.mutable_flow()->mutable_destination()->mutable_owner()->set_kind("Deployment");
  flow.mutable_flow()->mutable_destination()->mutable_owner()->set_name("db");
  v1::Event exec;
  exec.mutable_exec()->set_type("exec");
  *exec.mutable_exec()->mutable_owner() = flow.flow().destination().owner();
  for (const v1::Event& event : {flow, exec}) {
    const auto passes = [&](const std::string& owner) {
      Filter filter;
      filter.add_owners(owner);
      return Matches(filter, event);
    };
    EXPECT_TRUE(passes("db"));
    EXPECT_TRUE(passes("Deployment/db"));
    EXPECT_TRUE(passes("deployment/db"));
    EXPECT_FALSE(passes("StatefulSet/db"));
    EXPECT_FALSE(passes("Deployment/web"));
    EXPECT_FALSE(passes("d"));
  }
  Filter filter;
  filter.add_owners("Deployment/db");
  EXPECT_FALSE(Matches(filter, WebToDb())) << "nothing is known of an owner";
  v1::Event change;
  change.mutable_change()->set_type("change");
  EXPECT_FALSE(Matches(filter, change));
  for (const char* bad : {"", "/", "Deployment/", "/db", "a/b/c"}) {
    Filter wrong;
    wrong.add_owners(bad);
    EXPECT_THAT(Message(CheckFilter(wrong)), HasSubstr("expected a name, or kind/name as Deployment/web")) << bad;
  }
}

TEST(EventFilter, ByVerdict) {
  EXPECT_TRUE(Passes([](Filter& f) { f.set_verdict(v1::Flow::DROPPED); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.set_verdict(v1::Flow::AUDIT); }));
}

TEST(EventFilter, ByWorkloadOfEitherEnd) {
  EXPECT_TRUE(Passes([](Filter& f) { f.set_namespace_("shop"), f.set_workload("web"); }));
  EXPECT_TRUE(Passes([](Filter& f) { f.set_namespace_("bank"), f.set_workload("db"); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.set_namespace_("bank"), f.set_workload("web"); })) << "of one end, not of both";
}

TEST(EventFilter, ByPortOfEitherEnd) {
  EXPECT_TRUE(Passes([](Filter& f) { f.set_port(40000); }));
  EXPECT_TRUE(Passes([](Filter& f) { f.set_port(5432); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.set_port(80); }));
}

TEST(EventFilter, ByProcessOfEitherEnd) {
  EXPECT_TRUE(Passes([](Filter& f) { f.set_process("/usr/bin/*"); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.set_process("/srv/*"); }));
}

// The same patterns as in policies: "*" does not cross directories.
TEST(EventFilter, ProcessesByThePatternsOfPolicies) {
  EXPECT_TRUE(Passes([](Filter& f) { f.add_processes("/bin/curl"); })) << "as /usr/bin/curl";
  EXPECT_TRUE(Passes([](Filter& f) { f.add_processes("**/curl"); }));
  EXPECT_TRUE(Passes([](Filter& f) { f.add_processes("/opt/*"); })) << "the script's own name";
  EXPECT_FALSE(Passes([](Filter& f) { f.add_processes("/usr/*"); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.add_processes("/usr/bin/[c]url"); })) << "no classes";
}

TEST(EventFilter, OneOfSeveralValuesIsEnough) {
  EXPECT_TRUE(Passes([](Filter& f) { f.add_types("exec"), f.add_types("flow"); }));
  EXPECT_TRUE(Passes([](Filter& f) { f.add_verdicts(v1::Flow::AUDIT), f.add_verdicts(v1::Flow::DROPPED); }));
  EXPECT_TRUE(Passes([](Filter& f) { f.add_namespaces("ops"), f.add_namespaces("bank"); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.add_namespaces("ops"); }));
  EXPECT_TRUE(Passes([](Filter& f) { f.add_workloads("shop/x"), f.add_workloads("shop/web"); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.add_workloads("bank/web"); })) << "of one end, not of both";
  EXPECT_TRUE(Passes([](Filter& f) { f.add_drop_reasons("QUARANTINED"), f.add_drop_reasons("policy_denied"); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.add_drop_reasons("QUARANTINED"); }));
}

TEST(EventFilter, ByPortAndProtocol) {
  const auto with_port = [](std::uint32_t port, const std::string& protocol) {
    Filter filter;
    filter.add_ports()->set_port(1);
    v1::ObserveRequest::Port& wanted = *filter.add_ports();
    wanted.set_port(port);
    wanted.set_protocol(protocol);
    return Matches(filter, WebToDb());
  };
  EXPECT_TRUE(with_port(5432, ""));
  EXPECT_TRUE(with_port(5432, "tcp"));
  EXPECT_FALSE(with_port(5432, "UDP"));
  EXPECT_FALSE(with_port(5433, "TCP"));
  EXPECT_TRUE(Passes([](Filter& f) { f.add_protocols("udp"), f.add_protocols("6"); })) << "6 is TCP";
  EXPECT_FALSE(Passes([](Filter& f) { f.add_protocols("icmpv6"); }));
}

TEST(EventFilter, ByAddressLabelsAndPolicy) {
  EXPECT_TRUE(Passes([](Filter& f) { f.add_ips("10.1.0.3"); }));
  EXPECT_TRUE(Passes([](Filter& f) { f.add_ips("fd00::/8"), f.add_ips("10.1.0.0/24"); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.add_ips("10.1.1.0/24"); }));
  EXPECT_TRUE(Passes([](Filter& f) { f.add_labels("app in (web, api),!old"); }));
  EXPECT_TRUE(Passes([](Filter& f) { f.add_labels("!app"); })) << "db has none";
  EXPECT_FALSE(Passes([](Filter& f) { f.add_labels("app=db"); }));
  EXPECT_TRUE(Passes([](Filter& f) { f.add_policies("closed"); }));
  EXPECT_TRUE(Passes([](Filter& f) { f.add_policies("bank/closed"); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.add_policies("shop/closed"); }));
}

TEST(EventFilter, FromAndTo) {
  for (const char* web : {"shop/web", "shop/", "10.1.0.2", "10.1.0.0/31", "app=web", "10.1.0.2/32"}) {
    Filter from, to;
    from.add_from(web);
    to.add_to(web);
    EXPECT_EQ(Matches(from, WebToDb()), std::string(web) != "10.1.0.0/31") << web;
    EXPECT_FALSE(Matches(to, WebToDb())) << web;
  }
  EXPECT_TRUE(Passes([](Filter& f) { f.add_from("shop/"), f.add_to("bank/db"), f.add_to("world"); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.add_from("shop/"), f.add_to("shop/"); }));
  v1::Event out = WebToDb();
  out.mutable_flow()->clear_destination();
  out.mutable_flow()->mutable_destination()->set_entity("world");
  const auto to = [&](const char* peer) {
    Filter filter;
    filter.add_to(peer);
    return Matches(filter, out);
  };
  EXPECT_TRUE(to("world"));
  EXPECT_FALSE(to("node"));
  EXPECT_FALSE(to("app!=x")) << "a selector is about workloads";
}

TEST(EventFilter, WhatIsLeftOut) {
  v1::ObserveRequest request;
  request.add_except()->add_ports()->set_port(5432);
  request.add_except()->add_types("exec");
  const auto filter = EventFilter::Make(request);
  ASSERT_TRUE(filter.ok()) << filter.status();
  EXPECT_FALSE(filter->Matches(WebToDb()));
  v1::Event other = WebToDb();
  other.mutable_flow()->mutable_l4()->set_destination_port(80);
  EXPECT_TRUE(filter->Matches(other));
  EXPECT_FALSE(filter->TakesEveryFlow());
  v1::Event lost;
  lost.mutable_lost()->set_event("exec");
  EXPECT_TRUE(filter->Matches(lost)) << "nobody knows what they were";
}

TEST(EventFilter, SinceAndUntil) {
  const auto at = [](std::int64_t seconds) {
    google::protobuf::Timestamp time;
    time.set_seconds(seconds);
    return time;
  };
  v1::ObserveRequest request;
  *request.mutable_since() = at(10);
  *request.mutable_until() = at(20);
  const auto filter = EventFilter::Make(request);
  ASSERT_TRUE(filter.ok()) << filter.status();
  EXPECT_FALSE(filter->IsInTime(at(9)));
  EXPECT_TRUE(filter->IsInTime(at(10)));
  EXPECT_TRUE(filter->IsInTime(at(20)));
  EXPECT_FALSE(filter->IsInTime(at(21)));
  EXPECT_FALSE(filter->TakesEveryFlow());
  *request.mutable_until() = at(9);
  EXPECT_FALSE(EventFilter::Make(request).ok());
}

TEST(EventFilter, NamesTheWorkloadsAndNamespacesThatItAsksFor) {
  v1::ObserveRequest request;
  request.mutable_filter()->add_workloads("shop/web");
  request.mutable_filter()->add_namespaces("bank");
  request.mutable_filter()->add_from("shop/");
  request.mutable_filter()->add_to("10.0.0.1");
  request.add_except()->add_to("ops/x");
  std::vector<std::string> names;
  for (const policy::ObjectName& name : EventFilter::Make(request)->Names()) names.push_back(name.ns + "/" + name.name);
  EXPECT_THAT(names, ::testing::UnorderedElementsAre("shop/web", "bank/", "shop/", "ops/x"));
}

TEST(EventFilter, AllConditionsHold) {
  EXPECT_TRUE(Passes([](Filter& f) { f.set_verdict(v1::Flow::DROPPED), f.set_port(5432); }));
  EXPECT_FALSE(Passes([](Filter& f) { f.set_verdict(v1::Flow::FORWARDED), f.set_port(5432); }));
}

TEST(EventFilter, FlowWithoutPortsHasNoPort) {
  v1::Event ping = WebToDb();
  ping.mutable_flow()->mutable_l4()->Clear();
  Filter filter;
  filter.set_port(5432);
  EXPECT_FALSE(Matches(filter, ping));
}

TEST(EventFilter, LossesAreForWhoMayHaveHadThem) {
  const auto passes = [](const char* type, const char* workload, void (*set)(Filter&)) {
    v1::Event event;
    event.mutable_lost()->set_event(type);
    event.mutable_lost()->set_namespace_("shop");
    event.mutable_lost()->set_workload(workload);
    Filter filter;
    set(filter);
    return Matches(filter, event);
  };
  const auto of_web = [](Filter& f) { f.set_namespace_("shop"), f.set_workload("web"); };
  const auto execs = [](Filter& f) { f.set_type("exec"); };
  const auto dropped = [](Filter& f) { f.set_verdict(v1::Flow::DROPPED); };
  EXPECT_TRUE(passes("exec", "web", execs));
  EXPECT_FALSE(passes("flow", "web", execs));
  EXPECT_TRUE(passes("", "web", execs)) << "of any type";
  EXPECT_TRUE(passes("seed", "web", execs)) << "of no type that can be asked for";
  EXPECT_TRUE(passes("exec", "web", of_web));
  EXPECT_FALSE(passes("exec", "db", of_web));
  EXPECT_TRUE(passes("exec", "", of_web)) << "of anybody";
  EXPECT_TRUE(passes("flow", "db", of_web)) << "some may have gone to web";
  EXPECT_TRUE(passes("flow", "web", dropped));
  EXPECT_FALSE(passes("exec", "web", dropped));
  EXPECT_FALSE(passes("exec", "web", [](Filter& f) { f.set_port(80); }));
  EXPECT_FALSE(passes("fork", "web", [](Filter& f) { f.set_without_forks(true); }));
}

TEST(EventFilter, LossesOfWhatIsNotKnownAreForEverybody) {
  v1::Event event;
  event.mutable_lost()->set_count(1);
  Filter filter;
  filter.set_verdict(v1::Flow::DROPPED);
  filter.set_port(1);
  EXPECT_TRUE(Matches(filter, event));
}

v1::Event ShellIn(const char* type) {
  v1::Event event;
  v1::Exec& exec = *event.mutable_exec();
  exec.set_namespace_("shop");
  exec.set_workload("web");
  exec.set_type("exec");
  exec.mutable_process()->set_binary("/bin/sh");
  if (std::string(type) == "exec") return event;
  v1::Event other;
  EXPECT_TRUE((std::string(type) == "fork" ? static_cast<google::protobuf::Message*>(other.mutable_fork())
                                           : other.mutable_exit())
                  ->ParseFromString(exec.SerializeAsString()));
  if (other.has_fork()) other.mutable_fork()->set_type(type);
  if (other.has_exit()) other.mutable_exit()->set_type(type);
  return other;
}

TEST(EventFilter, WhatProcessesDo) {
  for (const char* type : {"exec", "fork", "exit"}) {
    const v1::Event event = ShellIn(type);
    const auto passes = [&](void (*set)(Filter&)) {
      Filter filter;
      set(filter);
      return Matches(filter, event);
    };
    EXPECT_TRUE(passes([](Filter&) {})) << type;
    EXPECT_TRUE(passes([](Filter& f) { f.set_namespace_("shop"), f.set_workload("web"); })) << type;
    EXPECT_FALSE(passes([](Filter& f) { f.set_namespace_("bank"), f.set_workload("web"); })) << type;
    EXPECT_TRUE(passes([](Filter& f) { f.set_process("/bin/*"); })) << type;
    EXPECT_FALSE(passes([](Filter& f) { f.set_process("/opt/*"); })) << type;
    EXPECT_FALSE(passes([](Filter& f) { f.set_type("flow"); })) << type;
    EXPECT_FALSE(passes([](Filter& f) { f.set_verdict(v1::Flow::DROPPED); })) << type;
    EXPECT_FALSE(passes([](Filter& f) { f.set_port(80); })) << type;
    Filter own_type;
    own_type.set_type(type);
    EXPECT_TRUE(Matches(own_type, event)) << type;
  }
}

TEST(EventFilter, ForksCanBeLeftOut) {
  Filter filter;
  filter.set_without_forks(true);
  EXPECT_FALSE(Matches(filter, ShellIn("fork")));
  EXPECT_TRUE(Matches(filter, ShellIn("exec")));
  EXPECT_TRUE(Matches(filter, WebToDb()));
  filter.set_type("fork");
  EXPECT_TRUE(Matches(filter, ShellIn("fork"))) << "asked for by name";
}

TEST(EventFilter, ProcessesOfNoWorkloadCanBeLeftOut) {
  Filter filter;
  filter.set_without_host(true);
  v1::Event host = ShellIn("exec");
  host.mutable_exec()->clear_namespace_();
  host.mutable_exec()->clear_workload();
  EXPECT_FALSE(Matches(filter, host));
  EXPECT_TRUE(Matches(filter, ShellIn("exec")));
  EXPECT_TRUE(Matches(filter, WebToDb()));
  filter.set_without_host(false);
  EXPECT_TRUE(Matches(filter, host));
}

TEST(EventFilter, WhatOnlyFlowsHaveAsksForFlows) {
  for (const char* type : {"exec", "fork", "exit"}) {
    const auto passes = [&](void (*set)(Filter&)) {
      Filter filter;
      set(filter);
      return Matches(filter, ShellIn(type));
    };
    EXPECT_TRUE(passes([](Filter& f) { f.add_namespaces("shop"); }));
    EXPECT_FALSE(passes([](Filter& f) { f.add_namespaces("bank"); }));
    EXPECT_FALSE(passes([](Filter& f) { f.add_ips("10.0.0.0/8"); }));
    EXPECT_FALSE(passes([](Filter& f) { f.add_from("shop/web"); }));
    EXPECT_FALSE(passes([](Filter& f) { f.add_policies("x"); }));
    EXPECT_FALSE(passes([](Filter& f) { f.add_drop_reasons("POLICY_DENIED"); }));
    EXPECT_FALSE(passes([](Filter& f) { f.add_protocols("TCP"); }));
  }
}

TEST(EventFilter, Hooks) {
  v1::Event event;
  v1::Hook& hook = *event.mutable_hook();
  hook.set_type("hook");
  hook.set_namespace_("shop");
  hook.set_workload("web");
  hook.mutable_process()->set_binary("/bin/sh");
  hook.mutable_policy()->set_namespace_("shop");
  hook.mutable_policy()->set_name("guard");
  const auto passes = [&](void (*set)(Filter&)) {
    Filter filter;
    set(filter);
    return Matches(filter, event);
  };
  EXPECT_TRUE(passes([](Filter&) {}));
  EXPECT_TRUE(passes([](Filter& f) { f.add_types("hook"); }));
  EXPECT_FALSE(passes([](Filter& f) { f.add_types("exec"); }));
  EXPECT_TRUE(passes([](Filter& f) { f.add_workloads("shop/web"); }));
  EXPECT_FALSE(passes([](Filter& f) { f.add_workloads("shop/db"); }));
  EXPECT_TRUE(passes([](Filter& f) { f.add_processes("/bin/*"); }));
  EXPECT_FALSE(passes([](Filter& f) { f.add_processes("/usr/**"); }));
  EXPECT_TRUE(passes([](Filter& f) { f.add_policies("guard"); }));
  EXPECT_TRUE(passes([](Filter& f) { f.add_policies("shop/guard"); }));
  EXPECT_FALSE(passes([](Filter& f) { f.add_policies("bank/guard"); }));
  EXPECT_FALSE(passes([](Filter& f) { f.add_policies("other"); }));
  EXPECT_FALSE(passes([](Filter& f) { f.add_ports()->set_port(80); })) << "asks for flows";
  EXPECT_FALSE(passes([](Filter& f) { f.add_from("shop/web"); })) << "asks for flows";
}

TEST(EventFilter, LostHooksOfAPolicy) {
  v1::Event event;
  event.mutable_lost()->set_event("hook");
  Filter filter;
  filter.add_policies("guard");
  EXPECT_TRUE(Matches(filter, event)) << "of which policy is not known";
  event.mutable_lost()->set_event("exec");
  EXPECT_FALSE(Matches(filter, event));
  filter.add_ports()->set_port(80);
  event.mutable_lost()->set_event("hook");
  EXPECT_FALSE(Matches(filter, event));
}

TEST(EventFilter, RefusalsSayWhatIsAccepted) {
  const auto refusal = [](void (*set)(Filter&)) {
    Filter filter;
    set(filter);
    return Message(CheckFilter(filter));
  };
  EXPECT_THAT(refusal([](Filter& f) { f.add_drop_reasons("POLICY_DENYED"); }),
              HasSubstr("did you mean POLICY_DENIED?"));
  EXPECT_THAT(refusal([](Filter& f) { f.add_drop_reasons("x"); }), HasSubstr("QUARANTINED"));
  EXPECT_THAT(refusal([](Filter& f) { f.add_types("exek"); }), HasSubstr("did you mean exec?"));
  EXPECT_THAT(refusal([](Filter& f) { f.add_processes("*/curl"); }), HasSubstr("\"**\""));
  EXPECT_THAT(refusal([](Filter& f) { f.add_protocols("GRE"); }), HasSubstr("SCTP"));
  EXPECT_THAT(refusal([](Filter& f) { f.add_from("web"); }), HasSubstr("namespace/name"));
  EXPECT_THAT(refusal([](Filter& f) { f.add_ips("10.0.0"); }), HasSubstr("10.0.0"));
  EXPECT_THAT(refusal([](Filter& f) { f.add_labels("=x"); }), HasSubstr("=x"));
  EXPECT_THAT(refusal([](Filter& f) { f.add_namespaces("Shop"); }), HasSubstr("Shop"));
  EXPECT_THAT(refusal([](Filter& f) { f.add_workloads("web"); }), HasSubstr("namespace/name"));
  EXPECT_THAT(refusal([](Filter& f) { f.add_policies("/x"); }), HasSubstr("/x"));
}

TEST(EventFilter, RefusesWhatCanMatchNothing) {
  Filter filter;
  filter.set_type("exek");
  EXPECT_THAT(Message(CheckFilter(filter)), HasSubstr("exek"));
  filter.Clear();
  filter.set_namespace_("shop");
  EXPECT_THAT(Message(CheckFilter(filter)), HasSubstr("shop/"));
  filter.Clear();
  filter.set_port(65536);
  EXPECT_THAT(Message(CheckFilter(filter)), HasSubstr("65536"));
  filter.set_port(65535);
  EXPECT_TRUE(CheckFilter(filter).ok());
}

}  // namespace
}  // namespace sluice::telemetry
