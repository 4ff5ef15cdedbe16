#include "ctrl/kube/service_objects.h"

#include "tests/unit/kube/fixture.h"

namespace sluice::kube {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

template <typename T>
StatusOr<T> ConvertText(StatusOr<T> (*convert)(const simdjson::dom::element&), const std::string& json) {
  simdjson::dom::parser parser;
  const simdjson::padded_string padded(json);
  simdjson::dom::element element;
  EXPECT_EQ(parser.parse(padded).get(element), simdjson::SUCCESS) << json;
  return convert(element);
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

std::vector<std::string> Texts(const std::vector<policy::Address>& addresses) {
  std::vector<std::string> texts;
  for (const policy::Address& address : addresses) texts.push_back(address.ToString());
  return texts;
}

// As kubectl shows one.
const std::string kService = R"({"apiVersion": "v1", "kind": "Service",
  "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "5", "labels": {"app": "web"},
    "creationTimestamp": "2026-01-02T03:04:05Z"},
  "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"],
    "ipFamilies": ["IPv4", "IPv6"], "selector": {"app": "web"}, "externalIPs": ["192.0.2.1"],
    "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http", "nodePort": 30080},
              {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 5353}],
    "loadBalancerSourceRanges": [" 203.0.113.0/24 "], "internalTrafficPolicy": "Local",
    "externalTrafficPolicy": "Local", "sessionAffinity": "ClientIP",
    "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}},
  "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}, {"hostname": "lb.example"},
    {"ip": "198.51.100.2", "ipMode": "Proxy"}, {"ip": "198.51.100.3", "ipMode": "VIP"}]}}})";

TEST(KubeServiceObjects, AService) {
  const auto converted = ConvertText(&ConvertService, kService);
  ASSERT_TRUE(converted.ok()) << converted.status();
  const policy::Service& service = **converted;
  EXPECT_EQ(service.name.ToString(), "shop/web");
  EXPECT_THAT(Texts(service.cluster_ips), ElementsAre("10.96.0.1", "fd00::1"));
  EXPECT_THAT(Texts(service.external_ips), ElementsAre("192.0.2.1"));
  EXPECT_THAT(Texts(service.load_balancer_ips), ElementsAre("198.51.100.1", "198.51.100.3")) << "without ipMode Proxy";
  ASSERT_EQ(service.source_ranges.size(), 1U);
  EXPECT_EQ(service.source_ranges[0].ToString(), "203.0.113.0/24");
  EXPECT_THAT(service.ports, ElementsAre(policy::ServicePort{"http", policy::kTcp, 80, 30080},
                                         policy::ServicePort{"dns", policy::kUdp, 53, 0}));
  EXPECT_TRUE(service.internal_local);
  EXPECT_TRUE(service.external_local);
  EXPECT_EQ(service.affinity, std::chrono::seconds(60));
  EXPECT_EQ(service.created, "2026-01-02T03:04:05Z");
}

TEST(KubeServiceObjects, DefaultsOfAService) {
  const auto converted =
      ConvertText(&ConvertService, R"({"metadata": {"name": "a", "namespace": "b"}, "spec": {"clusterIP": "10.96.0.7",
      "ports": [{"name": null, "port": 80}], "sessionAffinity": "ClientIP"}})");
  ASSERT_TRUE(converted.ok()) << converted.status();
  EXPECT_THAT(Texts((*converted)->cluster_ips), ElementsAre("10.96.0.7")) << "a server without clusterIPs";
  EXPECT_EQ((*converted)->ports.front().protocol, policy::kTcp);
  EXPECT_EQ((*converted)->affinity, std::chrono::hours(3));
  EXPECT_FALSE((*converted)->internal_local);
}

TEST(KubeServiceObjects, ServicesWithoutAnAddressOfTheirOwn) {
  const std::string with_one = R"("clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"])";
  for (const char* spec : {R"("clusterIP": "None", "clusterIPs": ["None"])", R"("clusterIP": "")", R"("x": 1)"}) {
    const auto converted = ConvertText(&ConvertService, Replaced(kService, with_one, spec));
    ASSERT_TRUE(converted.ok()) << spec << converted.status();
    EXPECT_THAT((*converted)->cluster_ips, IsEmpty()) << spec;
  }
  const auto named = ConvertText(&ConvertService, Replaced(kService, "LoadBalancer", "ExternalName"));
  ASSERT_TRUE(named.ok()) << named.status();
  EXPECT_THAT((*named)->cluster_ips, IsEmpty());
  const auto of_another =
      ConvertText(&ConvertService,
                  Replaced(kService, R"("app": "web"})", R"("service.kubernetes.io/service-proxy-name": "other"})"));
  ASSERT_TRUE(of_another.ok()) << of_another.status();
  EXPECT_THAT((*of_another)->cluster_ips, IsEmpty());
}

TEST(KubeServiceObjects, ErrorsOfAServiceNameTheField) {
  const auto error = [](const std::string& from, const std::string& to) {
    return Message(ConvertText(&ConvertService, Replaced(kService, from, to)).status());
  };
  EXPECT_EQ(error("\"port\": 53", "\"port\": 70000"),
            "Service shop/web: spec.ports[1].port: 70000 is not a port (1 to 65535)");
  EXPECT_EQ(error("\"port\": 53", "\"port\": \"dns\""), "Service shop/web: spec.ports[1].port: not a whole number");
  EXPECT_EQ(error("\"port\": 53, ", ""), "Service shop/web: spec.ports[1].port: missing");
  EXPECT_EQ(error("30080", "-1"), "Service shop/web: spec.ports[0].nodePort: -1 is not a port (1 to 65535)");
  EXPECT_EQ(error("UDP", "QUIC"), "Service shop/web: spec.ports[1].protocol: QUIC is none of TCP, UDP and SCTP");
  EXPECT_THAT(error("\"fd00::1\"", "\"fd00::x\""), HasSubstr("Service shop/web: spec.clusterIPs[1]: "));
  EXPECT_EQ(error("\"fd00::1\"", "7"), "Service shop/web: spec.clusterIPs[1]: not a string");
  EXPECT_THAT(error("192.0.2.1", "192.0.2"), HasSubstr("spec.externalIPs[0]: "));
  EXPECT_THAT(error("203.0.113.0/24", "all"), HasSubstr("spec.loadBalancerSourceRanges[0]: "));
  EXPECT_THAT(error("198.51.100.3", "::ffff:1.2.3.4"), HasSubstr("status.loadBalancer.ingress[3].ip: "));
  EXPECT_EQ(error("\"timeoutSeconds\": 60", "\"timeoutSeconds\": 86401"),
            "Service shop/web: spec.sessionAffinityConfig.clientIP.timeoutSeconds: 86401 is not from 1 to 86400");
}

TEST(KubeServiceObjects, AnEndpointSlice) {
  const auto converted = ConvertText(&ConvertEndpointSlice, R"({"addressType": "IPv4",
    "metadata": {"name": "web-abc", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
    "endpoints": [
      {"addresses": ["10.1.0.1", "10.1.0.99"], "nodeName": "node-1", "zone": "a", "targetRef": {"kind": "Pod"},
       "conditions": {"ready": true, "serving": true, "terminating": false},
       "hints": {"forZones": [{"name": "a"}, {"name": "b"}], "forNodes": [{"name": "node-1"}]}},
      {"addresses": ["10.1.0.2"], "conditions": {"ready": false, "serving": true, "terminating": true}},
      {"addresses": ["10.1.0.3"], "conditions": {"ready": null}}],
    "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "", "port": null, "protocol": "UDP"}]})");
  ASSERT_TRUE(converted.ok()) << converted.status();
  const policy::EndpointSlice& slice = **converted;
  EXPECT_EQ(slice.name.ToString(), "shop/web-abc");
  EXPECT_EQ(slice.service, "web");
  ASSERT_EQ(slice.endpoints.size(), 3U);
  EXPECT_EQ(slice.endpoints[0].address.ToString(), "10.1.0.1");
  EXPECT_EQ(slice.endpoints[0].node, "node-1");
  EXPECT_THAT(slice.endpoints[0].zones, ElementsAre("a", "b"));
  EXPECT_THAT(slice.endpoints[0].nodes, ElementsAre("node-1"));
  EXPECT_TRUE(slice.endpoints[0].ready);
  EXPECT_FALSE(slice.endpoints[1].ready);
  EXPECT_TRUE(slice.endpoints[1].serving);
  EXPECT_TRUE(slice.endpoints[1].terminating);
  EXPECT_TRUE(slice.endpoints[2].ready) << "what is absent is true";
  EXPECT_TRUE(slice.endpoints[2].serving);
  EXPECT_FALSE(slice.endpoints[2].terminating);
  EXPECT_THAT(slice.ports, ElementsAre(policy::EndpointSlice::Port{"http", policy::kTcp, 8080},
                                       policy::EndpointSlice::Port{"", policy::kUdp, 0}));
}

// As Kubernetes 1.20 has it.
TEST(KubeServiceObjects, AnEndpointSliceOfV1Beta1) {
  const auto converted = ConvertText(&ConvertEndpointSlice, R"({"addressType": "IPv6",
    "metadata": {"name": "web-abc", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
    "endpoints": [{"addresses": ["fd01::1"], "conditions": {"ready": true},
      "topology": {"kubernetes.io/hostname": "node-1", "topology.kubernetes.io/zone": "a"}}],
    "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]})");
  ASSERT_TRUE(converted.ok()) << converted.status();
  ASSERT_EQ((*converted)->endpoints.size(), 1U);
  EXPECT_EQ((*converted)->endpoints[0].node, "node-1");
  EXPECT_THAT((*converted)->endpoints[0].zones, IsEmpty()) << "its zone is no hint";
}

TEST(KubeServiceObjects, OtherEndpointSlices) {
  const auto convert = [](const std::string& rest) {
    return ConvertText(&ConvertEndpointSlice, R"({"metadata": {"name": "s", "namespace": "n"}, )" + rest + "}");
  };
  const auto names = convert(R"("addressType": "FQDN", "endpoints": [{"addresses": ["db.example"]}])");
  ASSERT_TRUE(names.ok()) << names.status();
  EXPECT_THAT((*names)->endpoints, IsEmpty());
  const auto empty = convert(R"("addressType": "IPv4", "endpoints": null, "ports": null)");
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_EQ((*empty)->service, "");
  EXPECT_EQ(Message(convert(R"("addressType": "IPv5")").status()),
            "EndpointSlice n/s: addressType: IPv5 is none of IPv4, IPv6 and FQDN");
  EXPECT_EQ(Message(convert(R"("addressType": "IPv4", "endpoints": [{"addresses": []}])").status()),
            "EndpointSlice n/s: endpoints[0].addresses: there is none");
  EXPECT_EQ(Message(convert(R"("addressType": "IPv4", "endpoints": [{"addresses": ["fd00::1"]}])").status()),
            "EndpointSlice n/s: endpoints[0].addresses[0]: fd00::1 is not of the slice's addressType");
  EXPECT_EQ(Message(convert(R"("addressType": "IPv4", "endpoints": {})").status()),
            "EndpointSlice n/s: endpoints: not a list");
  EXPECT_EQ(Message(convert(R"("addressType": "IPv4", "endpoints": [{"addresses": ["10.1.0.1"],
                               "conditions": {"ready": "yes"}}])")
                        .status()),
            "EndpointSlice n/s: endpoints[0].conditions.ready: neither true nor false");
}

TEST(KubeServiceObjects, ANode) {
  const auto converted = ConvertText(&ConvertNode, R"({"metadata": {"name": "node-1", "labels":
    {"topology.kubernetes.io/zone": "a", "tier": "edge"}}, "status": {"addresses": [{"type": "InternalIP", "address": "172.16.0.1"},
    {"type": "Hostname", "address": "node-1"}, {"type": "ExternalIP", "address": "fd05::1"}]}})");
  ASSERT_TRUE(converted.ok()) << converted.status();
  EXPECT_EQ((*converted)->name, "node-1");
  EXPECT_EQ((*converted)->zone, "a");
  EXPECT_THAT(Texts((*converted)->addresses), ElementsAre("172.16.0.1", "fd05::1"));
  EXPECT_EQ((*converted)->labels, (policy::Labels{{"topology.kubernetes.io/zone", "a"}, {"tier", "edge"}}));
  EXPECT_EQ(Message(ConvertText(&ConvertNode, R"({"metadata": {"name": "node-1", "labels": {"tier": 1}}})").status()),
            "Node node-1: metadata.labels.tier: not a string");
  const auto bare = ConvertText(&ConvertNode, R"({"metadata": {"name": "node-1"}})");
  ASSERT_TRUE(bare.ok()) << bare.status();
  EXPECT_TRUE((*bare)->labels.empty());
}

}  // namespace
}  // namespace sluice::kube
