# ruff: noqa: E501, SIM905 - vocabulary reads better in long lines
# fmt: off
"""Hand-written French vocabulary of work: who acts, on what, how. Breadth beyond it comes from the word lists."""

HUMANS = """client cliente acheteur acheteuse vendeur vendeuse commercial commerciale comptable responsable directeur directrice manager
gestionnaire technicien technicienne opérateur opératrice préparateur magasinier livreur chauffeur facteur transporteur fournisseur prestataire
médecin infirmier infirmière patient patiente pharmacien chirurgien secrétaire assistant-maternel standardiste réceptionniste agent conseiller
conseillère candidat candidate recruteur recruteuse salarié salariée employé employée stagiaire formateur apprenant élève étudiant professeur
enseignante proviseur surveillant parent bibliothécaire lecteur abonné usager citoyen demandeur maire instructeur greffier juge avocat notaire
locataire propriétaire agent-immobilier architecte maçon électricien plombier conducteur chef-de-projet chef-d'équipe chef-de-service développeur
développeuse testeur administrateur analyste auditeur contrôleur inspecteur expert assuré assureur courtier banquier guichetier caissier caissière
cuisinier cuisinière serveur serveuse chef plongeur boulanger traiteur agriculteur vétérinaire bénévole organisateur participant animateur
président trésorier adjoint modérateur rédacteur rédactrice relecteur correcteur éditeur traducteur photographe journaliste voyageur passager
pilote steward douanier pompier gendarme policier témoin visiteur gardien hôte hôtesse consultant donateur adhérent mécanicien garagiste
réparateur logisticien cariste acheteur-public pilote-qualité utilisateur utilisatrice internaute interlocuteur bailleur ouvrier artisan""".split()

TEAMS = """le service client|le service achats|le service comptable|le service juridique|le service informatique|le service technique|le service après-vente
le service des ressources humaines|la direction|la direction financière|la comptabilité|l'entrepôt|le magasin|l'atelier|le laboratoire|la mairie|la préfecture
la banque|l'assurance|l'équipe technique|l'équipe commerciale|l'équipe projet|l'équipe support|l'équipe de nuit|la commission|le comité|le conseil|le jury
le tribunal|le secrétariat|l'accueil|le standard|la rédaction|la cuisine|la pharmacie|les achats|la production|la qualité|la logistique|le support|l'agence
le siège|les ressources humaines|l'administration|l'hôpital|l'école|le guichet|le prestataire informatique|le bureau d'études|la paie|l'astreinte
le centre d'appels|la hotline|la maintenance|la sécurité|le syndic|la régie|le service instructeur|le pôle accueil|la cellule de crise|les élus""".replace(
    "\n", "|"
).split("|")

SYSTEMS = """le système|le logiciel|l'application|la plateforme|le site|le serveur|la base de données|le robot|la machine|l'automate|le capteur|l'ERP|le CRM
le portail|l'outil|le module de paiement|le moteur de recherche|l'API|le script|le programme|l'imprimante|le terminal|la borne|le lecteur de badges|l'ordinateur
le logiciel de paie|l'application mobile|le système d'information|la passerelle de paiement|le workflow|la messagerie|le site marchand|l'intranet|le progiciel
le pare-feu|l'antivirus|le planificateur|l'ordonnanceur|la sonde|le distributeur|l'automate bancaire|la plate-forme|le tableau de bord|l'outil de suivi
le système de réservation|le système d'alerte|le logiciel de caisse|le service web|le pipeline|la chaîne d'intégration|l'extranet|le thermostat""".replace(
    "\n", "|"
).split("|")

AIS = """l'IA|le modèle|l'assistant|l'assistant virtuel|le chatbot|l'agent conversationnel|l'intelligence artificielle|le modèle de langue|l'algorithme|l'agent IA
le réseau de neurones|le modèle de prédiction|l'assistant vocal|le classifieur|l'IA générative""".replace(
    "\n", "|"
).split("|")

# gender-tagged objects of work: m: / f: ; a leading h or vowel elides
OBJECTS = """m: dossier devis bon contrat rapport formulaire document courrier courriel message colis paquet stock produit article panier paiement virement
chèque remboursement compte badge ticket incident appel rendez-vous planning calendrier budget bilan compte-rendu tableau fichier registre inventaire
relevé reçu avoir bordereau certificat avis accord mandat permis passeport visa billet code correctif serveur poste écran câble logiciel module test
échantillon traitement diagnostic dossier-médical scanner régime plat menu gâteau four plateau devoir examen bulletin cours exercice manuel livre
prêt loyer bail logement chantier plan mur toit moteur véhicule camion chargement lot carton quai itinéraire trajet vol bagage siège événement stand
discours article projet besoin cahier-des-charges prototype lancement profil poste entretien salaire congé bulletin-de-paie arrêt planning-des-équipes
recours jugement acte procès-verbal signalement constat sinistre justificatif identifiant mot-de-passe accès droit échange retour défaut écart risque
f: commande facture demande livraison réclamation fiche adresse carte banque offre annonce candidature lettre liste référence somme taxe remise
garantie pièce panne machine alerte sauvegarde version mise-à-jour configuration base requête réponse question décision réunion note enquête
ordonnance analyse radio consultation prescription chambre intervention opération visite recette sauce pâte table salle réservation inscription
leçon copie classe sortie autorisation convention signature attestation déclaration preuve plainte expertise indemnité prime police-d'assurance
échéance mensualité caution clé annexe étiquette palette marchandise cargaison expédition tournée étape route valise place affiche invitation
brochure campagne publicité publication traduction photo maquette solution mission tâche priorité formation évaluation embauche fiche-de-poste
paie absence anomalie correction non-conformité cause mesure procédure norme donnée notification relance créance dépense subvention""".strip()

COMPLEMENTS = """au client|à la direction|au service comptable|dans le logiciel|dans le système|dans la base|par courriel|par courrier|par téléphone|en ligne|sur place
au fournisseur|à l'accueil|au responsable|à l'équipe|au demandeur|dans le registre|sur le site|au guichet|en magasin|en deux exemplaires|dans le tableau
avec le client|avec soin|avec l'équipe|au secrétariat|au comité|pour validation|pour signature|pour avis|sous 48 heures|avant midi|avant la fin du mois
à la main|au propre|dans l'entrepôt|sur le quai|à son supérieur|au patient|aux parents|à la mairie|par semaine|chaque matin|en attente|sur l'étagère
dans un classeur|au four|à feu doux|pendant dix minutes|avec le dossier|sans délai|au juge|à l'assureur|dans l'outil|au format PDF|par SMS|à jour""".replace(
    "\n", "|"
).split("|")

ADJECTIVES = """complet incomplet conforme disponible valide correct urgent nouveau signé payé prêt vide plein fermé ouvert manquant défectueux
accepté refusé confirmé périmé suffisant insuffisant élevé faible important mensuel annuel hebdomadaire électronique définitif provisoire initial
final global détaillé technique juridique médical commercial interne externe""".split()

TIME_ADVERBS = """chaque matin|le lendemain|le lundi|à 9 heures|dans la journée|au bout de deux jours|en fin de mois|sous 24 heures|le jour même|aussitôt|immédiatement
rapidement|en général|habituellement|dans tous les cas|dans un premier temps|pour commencer|à ce moment-là|une semaine plus tard|trois jours avant|en pratique|comme d'habitude|sans attendre""".replace(
    "\n", "|"
).split("|")

# infinitive present3 imperativePl participle future3 nominal(with article or -)
IRREGULAR = """recevoir reçoit recevez reçu recevra la-réception
transmettre transmet transmettez transmis transmettra la-transmission
mettre met mettez mis mettra la-mise
remettre remet remettez remis remettra la-remise
soumettre soumet soumettez soumis soumettra la-soumission
prendre prend prenez pris prendra la-prise
reprendre reprend reprenez repris reprendra la-reprise
faire fait faites fait fera -
refaire refait refaites refait refera -
inscrire inscrit inscrivez inscrit inscrira l'inscription
écrire écrit écrivez écrit écrira l'écriture
rédiger rédige rédigez rédigé rédigera la-rédaction
lire lit lisez lu lira la-lecture
relire relit relisez relu relira la-relecture
produire produit produisez produit produira la-production
traduire traduit traduisez traduit traduira la-traduction
construire construit construisez construit construira la-construction
établir établit établissez établi établira l'établissement
remplir remplit remplissez rempli remplira le-remplissage
fournir fournit fournissez fourni fournira la-fourniture
définir définit définissez défini définira la-définition
choisir choisit choisissez choisi choisira le-choix
saisir saisit saisissez saisi saisira la-saisie
avertir avertit avertissez averti avertira -
rendre rend rendez rendu rendra -
vendre vend vendez vendu vendra la-vente
répondre répond répondez répondu répondra la-réponse
attendre attend attendez attendu attendra l'attente
joindre joint joignez joint joindra -
ouvrir ouvre ouvrez ouvert ouvrira l'ouverture
offrir offre offrez offert offrira -
tenir tient tenez tenu tiendra la-tenue
obtenir obtient obtenez obtenu obtiendra l'obtention
prévenir prévient prévenez prévenu préviendra -
voir voit voyez vu verra -
revoir revoit revoyez revu reverra -
suivre suit suivez suivi suivra le-suivi
servir sert servez servi servira le-service
envoyer envoie envoyez envoyé enverra l'envoi
payer paie payez payé paiera le-paiement
appeler appelle appelez appelé appellera l'appel
rappeler rappelle rappelez rappelé rappellera le-rappel
acheter achète achetez acheté achètera l'achat
peser pèse pesez pesé pèsera la-pesée
lever lève levez levé lèvera la-levée
relever relève relevez relevé relèvera le-relevé
compléter complète complétez complété complétera -
gérer gère gérez géré gérera la-gestion
transférer transfère transférez transféré transférera le-transfert
récupérer récupère récupérez récupéré récupérera la-récupération
nettoyer nettoie nettoyez nettoyé nettoiera le-nettoyage
essayer essaie essayez essayé essaiera l'essai
renvoyer renvoie renvoyez renvoyé renverra le-renvoi
jeter jette jetez jeté jettera -
ranger range rangez rangé rangera le-rangement
corriger corrige corrigez corrigé corrigera la-correction
lancer lance lancez lancé lancera le-lancement
annoncer annonce annoncez annoncé annoncera l'annonce
placer place placez placé placera le-placement
convertir convertit convertissez converti convertira la-conversion
cuire cuit cuisez cuit cuira la-cuisson"""

# regular -er verbs of work with their nominal form
REGULAR = """vérifier:la-vérification contrôler:le-contrôle valider:la-validation préparer:la-préparation créer:la-création enregistrer:l'enregistrement
signer:la-signature livrer:la-livraison expédier:l'expédition emballer:l'emballage facturer:la-facturation rembourser:le-remboursement
commander:la-commande réserver:la-réservation confirmer:la-confirmation annuler:l'annulation modifier:la-modification analyser:l'analyse étudier:l'étude
examiner:l'examen évaluer:l'évaluation estimer:l'estimation calculer:le-calcul classer:le-classement archiver:l'archivage publier:la-publication
imprimer:l'impression scanner:le-scan copier:la-copie tester:le-test déployer:le-déploiement installer:l'installation configurer:la-configuration
réparer:la-réparation remplacer:le-remplacement démonter:le-démontage monter:le-montage assembler:l'assemblage trier:le-tri stocker:le-stockage
charger:le-chargement décharger:le-déchargement transporter:le-transport distribuer:la-distribution planifier:la-planification organiser:l'organisation
animer:l'animation présenter:la-présentation proposer:la-proposition négocier:la-négociation accepter:l'acceptation refuser:le-refus rejeter:le-rejet
approuver:l'approbation autoriser:l'autorisation bloquer:le-blocage débloquer:le-déblocage activer:l'activation désactiver:la-désactivation
notifier:la-notification informer:l'information alerter:l'alerte contacter:- relancer:la-relance consulter:la-consultation interroger:- demander:la-demande
diagnostiquer:le-diagnostic soigner:- opérer:- prescrire:- administrer:l'administration surveiller:la-surveillance accompagner:l'accompagnement
accueillir:- orienter:l'orientation former:la-formation recruter:le-recrutement embaucher:l'embauche convoquer:la-convocation noter:la-notation
corriger:la-correction couper:la-coupe mélanger:le-mélange ajouter:l'ajout verser:le-versement chauffer:le-chauffage refroidir:- goûter:- servir:-
ouvrir:- fermer:la-fermeture clôturer:la-clôture solder:- comptabiliser:la-comptabilisation déclarer:la-déclaration signaler:le-signalement
affecter:l'affectation attribuer:l'attribution assigner:l'assignation transmettre:- partager:le-partage sauvegarder:la-sauvegarde restaurer:la-restauration
supprimer:la-suppression chercher:la-recherche rechercher:la-recherche trouver:- identifier:l'identification localiser:- détecter:la-détection
mesurer:la-mesure inspecter:l'inspection certifier:la-certification étiqueter:- collecter:la-collecte rassembler:- compiler:- synthétiser:la-synthèse
résumer:- traiter:le-traitement exécuter:l'exécution démarrer:le-démarrage arrêter:l'arrêt déposer:le-dépôt retirer:le-retrait échanger:l'échange
encaisser:l'encaissement débiter:- créditer:- virer:- régler:le-règlement verser:- prélever:le-prélèvement assurer:- indemniser:l'indemnisation
visiter:la-visite louer:la-location nettoyer:- laver:le-lavage désinfecter:la-désinfection couvrir:- dresser:- afficher:l'affichage diffuser:la-diffusion
importer:l'import exporter:l'export générer:la-génération comparer:la-comparaison rapprocher:le-rapprochement ajuster:l'ajustement adapter:-
formuler:- rédiger:- arbitrer:- voter:le-vote adopter:l'adoption délivrer:la-délivrance apposer:- parapher:- tamponner:- numériser:la-numérisation"""

CHATTER = """Bienvenue à cette réunion.|Bienvenue à tous.|C'est très clair.|Je suis d'accord avec vous.|On en reparlera la semaine prochaine.|On verra cela plus tard.|C'est une bonne question.|Tout le monde est là ?|Je le pense aussi.|Cela arrive tous les jours.
Bonjour à tous.|Bonjour, merci de votre attention.|Merci à tous.|Voilà.|C'est tout pour aujourd'hui.|Rien de bien compliqué.|Cela fonctionne bien depuis des années.
Tout le monde connaît cette procédure.|Cette procédure est en vigueur depuis 2019.|Elle concerne tous les sites.|Le délai moyen est de trois jours.|On en parle souvent.
C'est important pour nous.|Cela prend environ une heure.|Ce n'est pas toujours facile.|Les équipes en sont satisfaites.|Il y a eu quelques soucis l'an dernier.
Je vous explique comment cela se passe.|Voici comment nous procédons.|Voici le déroulement.|Le processus est simple.|La démarche est la suivante.|Rappelons le principe.
Pour information, ce texte sera mis à jour en juin.|Merci de respecter ces consignes.|Bonne journée.|Cordialement.|À bientôt.|Cela dépend des saisons.
C'est une étape délicate.|Ce point est essentiel.|N'hésitez pas à poser des questions.|Il fait beau aujourd'hui.|Cette année, le volume a doublé.|Personne n'aime attendre.
Notre entreprise compte douze salariés.|La qualité reste notre priorité.|Les délais sont courts en décembre.|Nous en reparlerons.|Le sujet est sensible.""".replace(
    "\n", "|"
).split("|")

TITLES = """Procédure de {n}|Traitement {de_n}|Processus : {n}|Gestion {de_n}|{N}|Comment gérer {un_n}|Mode opératoire – {n}|Étapes {de_n}|Le parcours {de_n}|Fiche pratique : {n}""".replace(
    "\n", "|"
).split("|")

FIRST_NAMES = """Alice Bruno Camille David Élodie Fatou Gaël Hélène Inès Jean Karim Léa Marc Nadia Olivier Paul Quentin Rachid Sophie Thomas Ursule Valérie
William Xavier Yasmine Zoé Amélie Benoît Chloé Didier Estelle Farid Guillaume Hugo Isabelle Julien Kevin Laura Mehdi Nicolas Pauline Romain Sarah
Théo Vincent Manon Lucas Emma Louis Jeanne Pierre Marie Claire Antoine Samuel Aïcha Mamadou Lina""".split()

# intransitive, reflexive and light-verb predicates: infinitive | present | imperative | future
IDIOMS = [
    dict(zip(("infinitive", "present", "imperative", "future"), line.split("|"), strict=True))
    for line in """passer commande|passe commande|passez commande|passera commande
se connecter|se connecte|connectez-vous|se connectera
s'inscrire|s'inscrit|inscrivez-vous|s'inscrira
se présenter|se présente|présentez-vous|se présentera
s'identifier|s'identifie|identifiez-vous|s'identifiera
se réunir|se réunit|réunissez-vous|se réunira
se rendre|se rend|rendez-vous|se rendra
partir|part|partez|partira
arriver|arrive|arrivez|arrivera
venir|vient|venez|viendra
revenir|revient|revenez|reviendra
payer|paie|payez|paiera
signer|signe|signez|signera
répondre|répond|répondez|répondra
attendre|attend|attendez|attendra
décider|décide|décidez|décidera
prendre rendez-vous|prend rendez-vous|prenez rendez-vous|prendra rendez-vous
prendre contact|prend contact|prenez contact|prendra contact
prendre connaissance du dossier|prend connaissance du dossier|prenez connaissance du dossier|prendra connaissance du dossier
donner son accord|donne son accord|donnez votre accord|donnera son accord
donner un avis favorable|donne un avis favorable|donnez un avis favorable|donnera un avis favorable
rendre son avis|rend son avis|rendez votre avis|rendra son avis
faire une demande|fait une demande|faites une demande|fera une demande
faire le point|fait le point|faites le point|fera le point
faire appel|fait appel|faites appel|fera appel
mettre à jour le dossier|met à jour le dossier|mettez à jour le dossier|mettra à jour le dossier
mettre en ligne l'annonce|met en ligne l'annonce|mettez en ligne l'annonce|mettra en ligne l'annonce
mettre au four|met au four|mettez au four|mettra au four
laisser reposer la pâte|laisse reposer la pâte|laissez reposer la pâte|laissera reposer la pâte
laisser cuire|laisse cuire|laissez cuire|laissera cuire
faire chauffer l'eau|fait chauffer l'eau|faites chauffer l'eau|fera chauffer l'eau
faire signer le contrat|fait signer le contrat|faites signer le contrat|fera signer le contrat
tenir compte des remarques|tient compte des remarques|tenez compte des remarques|tiendra compte des remarques
ouvrir un ticket|ouvre un ticket|ouvrez un ticket|ouvrira un ticket
remplir le formulaire|remplit le formulaire|remplissez le formulaire|remplira le formulaire
appeler les secours|appelle les secours|appelez les secours|appellera les secours
choisir une date|choisit une date|choisissez une date|choisira une date
entrer son code|entre son code|entrez votre code|entrera son code
intervenir|intervient|intervenez|interviendra
procéder au paiement|procède au paiement|procédez au paiement|procédera au paiement
redémarrer|redémarre|redémarrez|redémarrera
envoyer un message|envoie un message|envoyez un message|enverra un message
recevoir une réponse|reçoit une réponse|recevez une réponse|recevra une réponse
mettre fin au contrat|met fin au contrat|mettez fin au contrat|mettra fin au contrat""".splitlines()
]
