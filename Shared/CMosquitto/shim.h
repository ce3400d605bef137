// libmosquitto 2.0: MQTT 5. Only MQTTEdgeAdapter links it.
#include <mosquitto.h>
#include <mqtt_protocol.h>
