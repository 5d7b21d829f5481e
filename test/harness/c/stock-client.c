/*
 * A stock client on Eclipse Paho C, for the tests: the calls of its own documentation, nothing else.
 *
 *   stock_client publish URI CA VERSION  QOS RETAIN TOPIC TEXT ...
 *   stock_client subscribe URI CA VERSION  CLIENT_ID LASTING QOS FILTER WILL_TOPIC RESPONDS
 *
 * VERSION is 4 or 5; CA the file of a certificate to trust, or "-". A subscriber prints "subscribed" and whether its session was
 * present, then each message as "QOS RETAIN TOPIC TEXT"; SIGTERM disconnects it. With WILL_TOPIC other than "-" it has a will "gone".
 * With RESPONDS 1 it answers each message with its text in capitals, to the response topic or, in MQTT 3.1.1, to TOPIC/response.
 */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <MQTTClient.h>

static volatile sig_atomic_t is_ending = 0;
static void on_signal(int number) { (void)number; is_ending = 1; }

static void check(int code, const char *what) {
  if (code == MQTTCLIENT_SUCCESS) return;
  fprintf(stderr, "%s: %d\n", what, code);
  exit(1);
}

static MQTTClient open_client(const char *uri, int version, const char *client_id) {
  MQTTClient client;
  MQTTClient_createOptions options = MQTTClient_createOptions_initializer;
  options.MQTTVersion = version == 5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
  check(MQTTClient_createWithOptions(&client, uri, client_id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &options), "create");
  return client;
}

/* Answers whether the session was present, or -1: of MQTT 5 the library does not tell. */
static int connect_client(MQTTClient client, const char *ca, int version, int is_lasting, const char *will_topic) {
  MQTTClient_connectOptions v3 = MQTTClient_connectOptions_initializer;
  MQTTClient_connectOptions v5 = MQTTClient_connectOptions_initializer5;
  MQTTClient_connectOptions options = version == 5 ? v5 : v3;
  MQTTClient_SSLOptions ssl = MQTTClient_SSLOptions_initializer;
  MQTTClient_willOptions will = MQTTClient_willOptions_initializer;
  MQTTProperties properties = MQTTProperties_initializer;
  MQTTProperties will_properties = MQTTProperties_initializer;
  options.MQTTVersion = version == 5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
  options.keepAliveInterval = 20;
  if (version == 5) options.cleanstart = !is_lasting;
  else options.cleansession = !is_lasting;
  if (strcmp(ca, "-") != 0) {
    ssl.trustStore = ca;
    options.ssl = &ssl;
  }
  if (strcmp(will_topic, "-") != 0) {
    will.topicName = will_topic;
    will.message = "gone";
    will.qos = 1;
    options.will = &will;
  }
  if (version != 5) {
    check(MQTTClient_connect(client, &options), "connect");
    return options.returned.sessionPresent;
  }
  MQTTProperty expiry;
  expiry.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL;
  expiry.value.integer4 = is_lasting ? 600 : 0;
  MQTTProperties_add(&properties, &expiry);
  MQTTResponse response = MQTTClient_connect5(client, &options, &properties, &will_properties);
  check(response.reasonCode, "connect");
  MQTTResponse_free(response);
  MQTTProperties_free(&properties);
  return -1;
}

/* Answers what to wait for, at QoS 1 and 2. */
static MQTTClient_deliveryToken publish(MQTTClient client, int version, const char *topic, const char *text, int qos,
                                        int is_retained, MQTTProperties *properties) {
  MQTTClient_message message = MQTTClient_message_initializer;
  MQTTClient_deliveryToken token;
  message.payload = (void *)text;
  message.payloadlen = (int)strlen(text);
  message.qos = qos;
  message.retained = is_retained;
  if (properties != NULL) message.properties = *properties;
  if (version == 5) {
    MQTTResponse response = MQTTClient_publishMessage5(client, topic, &message, &token);
    check(response.reasonCode, "publish");
    MQTTResponse_free(response);
  } else {
    check(MQTTClient_publishMessage(client, topic, &message, &token), "publish");
  }
  return token;
}

static void publish_all(MQTTClient client, int version, int count, char **quadruples) {
  MQTTClient_deliveryToken last = 0;
  for (int at = 0; at + 3 < count; at += 4) {
    int qos = atoi(quadruples[at]);
    MQTTClient_deliveryToken token =
      publish(client, version, quadruples[at + 2], quadruples[at + 3], qos, atoi(quadruples[at + 1]), NULL);
    if (qos > 0) last = token;
  }
  MQTTClient_deliveryToken *pending = NULL;
  if (last > 0) check(MQTTClient_waitForCompletion(client, last, 30000L), "acknowledgement");
  check(MQTTClient_getPendingDeliveryTokens(client, &pending), "what is pending");
  for (int at = 0; pending != NULL && pending[at] != -1; at += 1) {
    check(MQTTClient_waitForCompletion(client, pending[at], 30000L), "acknowledgement");
  }
  if (pending != NULL) MQTTClient_free(pending);
}

static void respond(MQTTClient client, int version, const char *topic, const MQTTClient_message *message) {
  char answer[256], to[512];
  int length = message->payloadlen < 255 ? message->payloadlen : 255;
  for (int at = 0; at < length; at += 1) answer[at] = (char)toupper(((char *)message->payload)[at]);
  answer[length] = 0;
  MQTTProperties properties = MQTTProperties_initializer;
  MQTTProperties *given = (MQTTProperties *)&message->properties;
  MQTTProperty *response_topic = MQTTProperties_getProperty(given, MQTTPROPERTY_CODE_RESPONSE_TOPIC);
  MQTTProperty *correlation = MQTTProperties_getProperty(given, MQTTPROPERTY_CODE_CORRELATION_DATA);
  if (response_topic != NULL) {
    snprintf(to, sizeof to, "%.*s", response_topic->value.data.len, response_topic->value.data.data);
    if (correlation != NULL) MQTTProperties_add(&properties, correlation);
  } else {
    snprintf(to, sizeof to, "%s/response", topic);
  }
  publish(client, version, to, answer, 1, 0, &properties);
  MQTTProperties_free(&properties);
}

static void subscribe(MQTTClient client, int version, const char *filter, int qos, int is_present, int responds) {
  if (version == 5) {
    MQTTResponse response = MQTTClient_subscribe5(client, filter, qos, NULL, NULL);
    if (response.reasonCode != (enum MQTTReasonCodes)qos) check(response.reasonCode + 1000, "subscribe");
    MQTTResponse_free(response);
  } else {
    check(MQTTClient_subscribe(client, filter, qos), "subscribe");
  }
  printf("subscribed %d\n", is_present);
  while (!is_ending) {
    char *topic = NULL;
    int topic_length = 0;
    MQTTClient_message *message = NULL;
    int code = MQTTClient_receive(client, &topic, &topic_length, &message, 100L);
    if (message != NULL) {
      printf("%d %d %s %.*s\n", message->qos, message->retained, topic, message->payloadlen, (char *)message->payload);
      if (responds) respond(client, version, topic, message);
      MQTTClient_freeMessage(&message);
      MQTTClient_free(topic);
    } else if (code != MQTTCLIENT_SUCCESS) {
      check(code, "receive");
    }
  }
}

int main(int count, char **arguments) {
  if (count < 5) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGTERM, on_signal);
  const char *uri = arguments[2], *ca = arguments[3];
  int version = atoi(arguments[4]);
  MQTTClient client;
  if (strcmp(arguments[1], "publish") == 0) {
    client = open_client(uri, version, "");
    connect_client(client, ca, version, 0, "-");
    publish_all(client, version, count - 5, arguments + 5);
  } else {
    if (count != 11) return 2;
    client = open_client(uri, version, arguments[5]);
    int is_present = connect_client(client, ca, version, atoi(arguments[6]), arguments[9]);
    subscribe(client, version, arguments[8], atoi(arguments[7]), is_present, atoi(arguments[10]));
  }
  if (version == 5) check(MQTTClient_disconnect5(client, 1000, MQTTREASONCODE_SUCCESS, NULL), "disconnect");
  else check(MQTTClient_disconnect(client, 1000), "disconnect");
  MQTTClient_destroy(&client);
  return 0;
}
